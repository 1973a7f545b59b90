import io
from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from starlette.testclient import TestClient


def test_the_film_of_a_run_is_downloaded(client: TestClient, runs: Path):
    answer = client.get("/api/runs/small/film")
    assert (answer.headers["content-type"], "attachment" in answer.headers["content-disposition"]) == (
        "image/gif",
        True,
    )
    with Image.open(io.BytesIO(answer.content)) as film:
        assert film.n_frames > 1
    mp4 = client.get("/api/runs/small/film", params={"kind": "mp4"})
    assert mp4.status_code == (200 if find_spec("av") else 400)
    assert client.get("/api/runs/small/film", params={"kind": "exe"}).status_code == 422
    assert client.get("/api/runs/other/film").status_code == 404
    assert sorted(path.name for path in runs.iterdir()) == ["small"]  # nothing is written there
