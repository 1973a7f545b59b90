from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.studio import serve


def test_other_machines_need_the_token(runs: Path):
    app, address = serve.create_protected_app(runs, "0.0.0.0", 80)
    token = address.partition("?token=")[2]
    assert len(token) >= 24
    with TestClient(app, "http://box.example") as client:
        for headers in ({}, {"authorization": "Bearer x"}, {"cookie": b"dcgan-token=\xe9"}, {"cookie": 'a="; ;='}):
            assert client.get("/api/runs", headers=headers).status_code == 401
        assert client.get("/?token=x").status_code == 401
        assert client.get("/api/runs", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert "set-cookie" in client.get(f"/?token={token}").headers
        assert client.get("/api/runs").status_code == 200  # the client sends the cookie


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "http://127.0.0.1:80/"), ("::1", "http://[::1]:80/")])
def test_this_machine_needs_no_token(runs: Path, host: str, address: str):
    app, printed_address = serve.create_protected_app(runs, host, 80)
    assert printed_address == address
    with TestClient(app) as client:
        host_header = address.removeprefix("http://").removesuffix("/")
        assert client.get("/api/runs", headers={"host": host_header}).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)],
)
def test_is_loopback(host: str, is_loopback: bool):
    assert serve.is_loopback(host) == is_loopback


def test_an_address_that_cannot_be_used_is_one_line(runs: Path, refused: Callable[..., str]):
    with serve._listen("127.0.0.1", 0) as listener:
        line = refused("studio", str(runs), "--port", str(listener.getsockname()[1]), "--no-browser")
    assert "give another --port" in line
    assert "is no folder" in refused("studio", __file__, "--port", "0", "--no-browser")
    assert "from 0 to 65535" in refused("studio", str(runs), "--port", "70000", "--no-browser")
    assert "cannot listen" in refused("studio", str(runs), "--host", "203.0.113.1", "--port", "0", "--no-browser")
