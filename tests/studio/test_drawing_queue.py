import asyncio

import pytest
import torch
from starlette.testclient import TestClient

from dcgan.studio import drawing_queue
from dcgan.studio.allowed_paths import default_data_roots


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


def test_pictures_are_drawn_by_one_thread_beside_a_training(monkeypatch: pytest.MonkeyPatch):
    chosen, answers = list[int](), [False, True, False]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(drawing_queue, "THREADS_CHECK_INTERVAL_S", 0.0)
    queue = drawing_queue.DrawingQueue(default_data_roots(), lambda: answers.pop(0))
    for _ in range(2):
        asyncio.run(queue.run(lambda _: None))
    queue.close()
    assert chosen == [6, 1, 6]
