import pytest
from starlette.testclient import TestClient

from dcgan.studio import drawing_queue


def test_a_full_queue_refuses_and_asks_to_try_again(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_queue, "MAX_WAITING", 0)
    response = client.get("/api/models/small")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "try again" in response.json()["detail"]
