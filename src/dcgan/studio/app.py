"""The studio's routes. What they do is in `shelf` (runs), `trainings` (processes) and `easel` (models)."""

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

MOST_WATCHERS = 16
PAUSE = 1.0
"""Seconds between two looks at a run that is watched."""
Byte = Annotated[int, Field(ge=0, le=255)]
Coordinate = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Minutes = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]


class Start(BaseModel):
    """A training to start."""

    preset: str = Field(default=DEFAULT_PRESET, max_length=40)
    data: str = Field(default="mnist", min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")
    minutes: Minutes = 3.0


class GoOn(BaseModel):
    """A run to go on with, until it has had so much training."""

    minutes: Minutes


class Latents(BaseModel):
    """Latents to draw, and their classes where there are some."""

    z: list[Annotated[list[Coordinate], Field(min_length=1, max_length=4096)]] = Field(min_length=1, max_length=64)
    labels: list[Annotated[int, Field(ge=0, le=65_535)]] | None = Field(default=None, max_length=64)


class Picture(BaseModel):
    """A picture as the model draws them, (H, W, C) in that order."""

    pixels: list[Byte] = Field(min_length=1, max_length=4 * 256 * 256)


def create_app(runs: Path) -> FastAPI:
    """The studio over a folder of runs, without the `Guard` that stands before it."""
    shelf, trainings, queue = RunStore(runs), Trainings(runs), DrawingQueue()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(title="dcgan studio", version=dcgan.__version__, lifespan=life, docs_url=None, redoc_url=None)
    _answer_errors(app)
    _routes_of_runs(app, shelf, trainings)
    _routes_of_watching(app, shelf)
    _routes_of_models(app, shelf, queue)
    _pages(app)
    return app


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A mistake that the text names"},
    404: {"description": "There is no such thing"},
    503: {"description": "Busy: try again"},
}


def _answer_errors(app: FastAPI) -> None:
    def answer(request: Request, error: Exception) -> Response:
        status = 503 if isinstance(error, BusyError) else 404 if isinstance(error, NotFoundError) else 400
        text = str(error) if isinstance(error, UserError) else "the run's files cannot be read"
        return JSONResponse({"detail": text}, status, {"retry-after": "1"} if status == 503 else None)

    app.add_exception_handler(UserError, answer)
    app.add_exception_handler(OSError, answer)


def _routes_of_runs(app: FastAPI, shelf: RunStore, trainings: Trainings) -> None:
    @app.get("/api/runs")
    def runs() -> dict[str, Any]:
        """Every run, the newest first; the models that come with the package; and what can be started."""
        found = [shelf.summary(name) for name in shelf.names()]
        failed = {name: why for name in trainings.children if (why := trainings.failure(name))}
        return {"runs": found, "shipped": shelf.shipped(), "failed": failed, "presets": PRESET_DESCRIPTIONS}

    @app.post("/api/runs", status_code=201, responses=REFUSALS)
    def start(wanted: Start) -> dict[str, str]:
        """Start a training in a process of its own."""
        return {"name": trainings.start(wanted.preset, wanted.data, wanted.minutes)}

    @app.get("/api/runs/{name}", responses=REFUSALS)
    def detail(name: str) -> dict[str, Any]:
        """One run: what it is, its log thinned, and its grids."""
        return shelf.detail(name)

    @app.post("/api/runs/{name}/stop", responses=REFUSALS)
    def stop(name: str) -> dict[str, str]:
        """Ask a training to save and stop."""
        trainings.stop(shelf.run(name))
        return {"name": name}

    @app.post("/api/runs/{name}/resume", responses=REFUSALS)
    def go_on(name: str, wanted: GoOn) -> dict[str, str]:
        """Go on with a run."""
        trainings.resume(shelf.run(name), wanted.minutes)
        return {"name": name}

    @app.get("/api/runs/{name}/samples/{file}", response_class=FileResponse, responses=REFUSALS)
    def grid(name: str, file: str) -> FileResponse:
        """One grid of samples."""
        return FileResponse(shelf.grid(name, file), media_type="image/png", headers={"cache-control": "max-age=86400"})


def _routes_of_watching(app: FastAPI, shelf: RunStore) -> None:
    watchers = [0]

    @app.get("/api/runs/{name}/events", response_class=StreamingResponse, responses=REFUSALS)
    def events(name: str) -> StreamingResponse:
        """The run as server-sent events: whole at first, and again whenever something has changed."""
        shelf.run(name)
        if watchers[0] >= MOST_WATCHERS:
            raise BusyError("busy: too many pages are watching")
        return StreamingResponse(stream(name), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def stream(name: str) -> AsyncIterator[str]:
        watchers[0] += 1
        said = ""
        try:
            while True:
                found = json.dumps(await asyncio.to_thread(shelf.detail, name))
                yield f"data: {found}\n\n" if found != said else ": here\n\n"
                said = found
                await asyncio.sleep(PAUSE)
        except UserError:
            yield "event: gone\ndata: {}\n\n"
        finally:
            watchers[0] -= 1


def _routes_of_models(app: FastAPI, shelf: RunStore, queue: DrawingQueue) -> None:
    @app.get("/api/models/{name}", responses=REFUSALS)
    async def about(name: str) -> dict[str, Any]:
        """What a generator draws, and its principal directions: of a run, or one that comes with the package."""
        found: dict[str, Any] = await queue.do("about", shelf.model(name))
        return found

    @app.get("/api/models/{name}/latents", responses=REFUSALS)
    async def latents(
        name: str,
        seed: Annotated[int, Query(ge=0, lt=2**53)] = 0,
        n: Annotated[int, Query(ge=1, le=64)] = 16,
        truncation: Annotated[float | None, Query(gt=0, le=10, allow_inf_nan=False)] = None,
    ) -> dict[str, Any]:
        """The latents that `dcgan sample` draws from with this seed."""
        return {"z": await queue.do("latents", shelf.model(name), seed, n, truncation)}

    @app.post("/api/models/{name}/draw", responses=REFUSALS | {200: {"content": {"application/octet-stream": {}}}})
    async def draw(name: str, wanted: Latents) -> Response:
        """The pictures of latents, uint8 (N, H, W, C)."""
        pixels = await queue.do("draw", shelf.model(name), wanted.z, wanted.labels)
        return Response(pixels, media_type="application/octet-stream")

    @app.post("/api/models/{name}/invert", responses=REFUSALS)
    async def invert(name: str, wanted: Picture) -> dict[str, Any]:
        """The latent whose picture is nearest."""
        found: dict[str, Any] = await queue.do("invert", shelf.model(name), wanted.pixels)
        return found

    @app.get("/api/models/{name}/quiz", responses=REFUSALS)
    async def quiz(name: str, seed: Annotated[int, Query(ge=0, lt=2**53)] = 0) -> dict[str, Any]:
        """Twenty pictures, real ones and generated ones."""
        found: dict[str, Any] = await queue.do("quiz", shelf.model(name), seed)
        return found


def _pages(app: FastAPI) -> None:
    for place, folder in (("/web", "exporting/static"), ("/", "studio/static")):
        with as_file(files("dcgan").joinpath(folder)) as path:
            app.mount(place, StaticFiles(directory=path, html=True), name=folder)
