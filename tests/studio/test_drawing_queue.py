import pytest
from starlette.testclient import TestClient

from dcgan.studio import drawing_queue


def test_a_full_queue_refuses_and_asks_to_try_again(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_queue, "MAX_WAITING", 0)
    response = client.get("/api/models/small")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "try again" in response.json()["detail"]


def test_a_request_while_the_studio_closes_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    def submit(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", submit)
    monkeypatch.setattr(drawing_queue, "MAX_WAITING", 1)
    for _ in range(2):  # a request that was refused waits no more
        response = client.get("/api/models/small")
        assert (response.status_code, response.json()["detail"]) == (503, "the studio is closing")
