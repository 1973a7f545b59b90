import pytest
from starlette.testclient import TestClient

from dcgan.studio.security import MAX_BODY_BYTES, SECURITY_HEADERS


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::2]"])
def test_another_name_of_this_address_is_refused(client: TestClient, host: str):
    response = client.get("/api/runs", headers={"host": host})
    assert response.status_code == 400
    assert "not a name of the studio" in response.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]", "[::1]:7860"])
def test_the_names_of_this_machine_are_served(client: TestClient, host: str):
    assert client.get("/api/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost", "http://localhost:1"])
def test_another_page_starts_no_training(client: TestClient, started_commands: list[list[str]], origin: str):
    assert client.post("/api/runs", json={}, headers={"origin": origin}).status_code == 403
    assert client.post("/api/runs", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert started_commands == []
    assert client.post("/api/runs", json={}, headers={"origin": "http://localhost"}).status_code == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/runs", "/api/models/small/quiz", "/api/runs/small/samples/00000000.png"])
def test_another_page_does_not_make_the_studio_compute(client: TestClient, path: str, site: str):
    for method in ("GET", "HEAD"):
        assert client.request(method, path, headers={"sec-fetch-site": site}).status_code == 403
    assert client.get(path, headers={"origin": "http://evil.example"}).status_code == 403


def test_the_studio_s_own_pages_and_links_to_it_are_served(client: TestClient):
    for site in ("same-origin", "none"):
        assert client.get("/api/runs", headers={"sec-fetch-site": site}).status_code == 200
    assert client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code == 200


def test_large_bodies_are_refused(client: TestClient):
    headers = {"content-type": "application/json"}
    assert client.post("/api/runs", content=b" " * (MAX_BODY_BYTES + 1), headers=headers).status_code == 413
    chunks = (b" " * 2**20 for _ in range(9))
    assert client.post("/api/runs", content=chunks, headers=headers).status_code == 413
    assert client.post("/api/runs", content=b"{}", headers=headers | {"content-length": "x"}).status_code == 413


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_every_response_forbids_to_load_from_other_sites(client: TestClient, host: str):
    for path in ("/", "/api/runs", "/web/play.js"):
        headers = client.get(path, headers={"host": host}).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert SECURITY_HEADERS.items() <= dict(headers).items()
