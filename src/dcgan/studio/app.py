"""The HTTP routes of the studio. What they do is in `runs` (files), `trainings` (processes) and `models` (pictures)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

import dcgan
from dcgan.errors import UserError
from dcgan.presets import DEFAULT_PRESET, PRESET_DESCRIPTIONS
from dcgan.studio.drawing_queue import DrawingQueue
from dcgan.studio.runs import NotFoundError, RunStore
from dcgan.studio.trainings import BusyError, Trainings

MAX_WATCHERS = 16
"""How many pages may watch runs at the same time."""
POLL_INTERVAL_S = 1.0
"""How often the files of a watched run are read."""
RETRY_AFTER_S = 1
"""When a refused request may be sent again."""
STATIC_FOLDERS = {"/web": "exporting/static", "/": "studio/static"}
"""The folders of the package whose files are served, by the start of their address."""
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A mistake that the text names"},
    404: {"description": "There is no such thing"},
    503: {"description": "Busy: try again"},
}
"""What the description of the API says about refused requests."""

Byte = Annotated[int, Field(ge=0, le=255)]
Coordinate = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Latent = Annotated[list[Coordinate], Field(min_length=1, max_length=4096)]
Label = Annotated[int, Field(ge=0, le=65_535)]
Minutes = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Seed = Annotated[int, Query(ge=0, lt=2**53)]
"""JavaScript's integers are exact up to 2**53."""


class StartRequest(BaseModel):
    """A training to start."""

    preset: str = Field(default=DEFAULT_PRESET, max_length=40)
    data: str = Field(default="mnist", min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")
    minutes: Minutes = 3.0


class ResumeRequest(BaseModel):
    """How long a resumed run trains, counted from its start."""

    minutes: Minutes


class DrawRequest(BaseModel):
    """Latents to draw, and their classes if the model has classes."""

    z: list[Latent] = Field(min_length=1, max_length=64)
    labels: list[Label] | None = Field(default=None, max_length=64)


class InvertRequest(BaseModel):
    """A picture of the size that the model draws, (H, W, C) in that order."""

    pixels: list[Byte] = Field(min_length=1, max_length=4 * 256 * 256)


def create_app(runs: Path) -> FastAPI:
    """Return the studio over a folder of runs, without the checks of `security.protect`."""
    store, trainings, queue = RunStore(runs), Trainings(runs), DrawingQueue()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(title="dcgan studio", version=dcgan.__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    _add_error_responses(app)
    _add_run_routes(app, store, trainings)
    _add_event_route(app, store)
    _add_model_routes(app, store, queue)
    _add_static_files(app)
    return app


def _add_error_responses(app: FastAPI) -> None:
    def respond(request: Request, error: Exception) -> Response:
        status = 503 if isinstance(error, BusyError) else 404 if isinstance(error, NotFoundError) else 400
        text = str(error) if isinstance(error, UserError) else "the run's files cannot be read"
        return JSONResponse({"detail": text}, status, {"retry-after": str(RETRY_AFTER_S)} if status == 503 else None)

    app.add_exception_handler(UserError, respond)
    app.add_exception_handler(OSError, respond)


def _add_run_routes(app: FastAPI, store: RunStore, trainings: Trainings) -> None:
    @app.get("/api/runs")
    def list_runs() -> dict[str, Any]:
        """Return every run, the newest first, the models that come with the package, and the presets."""
        return {
            "runs": [store.summary(name) for name in store.names()],
            "shipped": store.shipped_names(),
            "failed": trainings.failure_messages(),
            "presets": PRESET_DESCRIPTIONS,
            "default_preset": DEFAULT_PRESET,
        }

    @app.post("/api/runs", status_code=201, responses=REFUSALS)
    def start_training(content: StartRequest) -> dict[str, str]:
        """Start a training in a process of its own."""
        return {"name": trainings.start(content.preset, content.data, content.minutes)}

    @app.get("/api/runs/{name}", responses=REFUSALS)
    def get_run(name: str) -> dict[str, Any]:
        """Return what one run is, its thinned-out measurements, and its grids."""
        return store.details(name)

    @app.post("/api/runs/{name}/stop", responses=REFUSALS)
    def stop_training(name: str) -> dict[str, str]:
        """Ask a training to save its state and stop."""
        trainings.stop(store.run(name))
        return {"name": name}

    @app.post("/api/runs/{name}/resume", responses=REFUSALS)
    def resume_training(name: str, content: ResumeRequest) -> dict[str, str]:
        """Resume a run."""
        trainings.resume(store.run(name), content.minutes)
        return {"name": name}

    @app.get("/api/runs/{name}/samples/{file}", response_class=FileResponse, responses=REFUSALS)
    def get_grid(name: str, file: str) -> FileResponse:
        """Return one grid of samples."""
        headers = {"cache-control": "max-age=86400"}
        return FileResponse(store.grid_path(name, file), media_type="image/png", headers=headers)


def _add_event_route(app: FastAPI, store: RunStore) -> None:
    watcher_count = 0

    @app.get("/api/runs/{name}/events", response_class=StreamingResponse, responses=REFUSALS)
    def watch_run(name: str) -> StreamingResponse:
        """Send the run as server-sent events: all of it at first, and again whenever something has changed."""
        store.run(name)
        if watcher_count >= MAX_WATCHERS:
            raise BusyError("busy: too many pages are watching")
        headers = {"cache-control": "no-store"}
        return StreamingResponse(stream_events(name), media_type="text/event-stream", headers=headers)

    async def stream_events(name: str) -> AsyncIterator[str]:
        nonlocal watcher_count
        watcher_count += 1
        last_sent = ""
        try:
            while True:
                content = json.dumps(await asyncio.to_thread(store.details, name))
                # A line that starts with a colon is a comment: it shows the browser that the server still runs.
                yield f"data: {content}\n\n" if content != last_sent else ": no change\n\n"
                last_sent = content
                await asyncio.sleep(POLL_INTERVAL_S)
        except UserError:
            yield "event: gone\ndata: {}\n\n"
        finally:
            watcher_count -= 1


def _add_model_routes(app: FastAPI, store: RunStore, queue: DrawingQueue) -> None:
    @app.get("/api/models/{name}", responses=REFUSALS)
    async def get_model(name: str) -> dict[str, Any]:
        """Return what a generator draws and its principal directions. It is a run's, or comes with the package."""
        folder = store.model_folder(name)
        return await queue.run(lambda models: models.describe(folder))

    @app.get("/api/models/{name}/latents", responses=REFUSALS)
    async def get_latents(
        name: str,
        seed: Seed = 0,
        n: Annotated[int, Query(ge=1, le=64)] = 16,
        truncation: Annotated[float | None, Query(gt=0, le=10, allow_inf_nan=False)] = None,
    ) -> dict[str, Any]:
        """Return the latents that `dcgan sample` draws from with this seed."""
        folder = store.model_folder(name)
        return {"z": await queue.run(lambda models: models.latents(folder, seed, n, truncation))}

    @app.post("/api/models/{name}/draw", responses=REFUSALS | {200: {"content": {"application/octet-stream": {}}}})
    async def draw(name: str, content: DrawRequest) -> Response:
        """Return the pictures of latents, uint8 (N, H, W, C)."""
        folder = store.model_folder(name)
        pixels = await queue.run(lambda models: models.draw(folder, content.z, content.labels))
        return Response(pixels, media_type="application/octet-stream")

    @app.post("/api/models/{name}/invert", responses=REFUSALS)
    async def invert(name: str, content: InvertRequest) -> dict[str, Any]:
        """Return the latent whose picture is nearest to a picture."""
        folder = store.model_folder(name)
        return await queue.run(lambda models: models.invert(folder, content.pixels))

    @app.get("/api/models/{name}/quiz", responses=REFUSALS)
    async def get_quiz(name: str, seed: Seed = 0) -> dict[str, Any]:
        """Return twenty pictures, real ones and generated ones."""
        folder = store.model_folder(name)
        return await queue.run(lambda models: models.quiz(folder, seed))


def _add_static_files(app: FastAPI) -> None:
    for address, folder in STATIC_FOLDERS.items():
        with as_file(files("dcgan").joinpath(folder)) as path:
            app.mount(address, StaticFiles(directory=path, html=True), name=folder)
