"""The HTTP routes of the studio. What they do is in `runs` (files), `trainings` (processes) and `models` (pictures)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

import dcgan
from dcgan.presets import DEFAULT_PRESET, PRESET_DESCRIPTIONS
from dcgan.studio.allowed_paths import DataRoots, default_data_roots
from dcgan.studio.data_checks import DataChecks
from dcgan.studio.data_routes import add_data_routes
from dcgan.studio.drawing_queue import DrawingQueue
from dcgan.studio.evaluations import read_evaluation
from dcgan.studio.film import MEDIA_TYPES, FilmKind, draw_film
from dcgan.studio.manage import delete_run, rename_run, write_note
from dcgan.studio.overview import list_runs, show_run
from dcgan.studio.request_bodies import (
    DeleteRequest,
    DrawRequest,
    InvertRequest,
    NoteRequest,
    RenameRequest,
    ResumeRequest,
    StartRequest,
    StyleRequest,
    describe_body,
    read_body,
)
from dcgan.studio.responses import (
    BUSY,
    CHANGE_REFUSALS,
    NOT_MODIFIED,
    READ_REFUSALS,
    AsciiResponse,
    FreshFiles,
    add_error_responses,
    respond_if_changed,
    respond_with_picture,
)
from dcgan.studio.runs import RunStore
from dcgan.studio.trainings import Trainings

STATIC_FOLDERS = {"/web": "exporting/static", "/": "studio/static"}
"""The folders of the package whose files are served, by the start of their address."""

LESSON_FOLDERS = (Path(__file__).parent / "lessons", Path(dcgan.__file__).parents[2] / "docs")
"""Where the learning pages are: in an installed package, where setup.py puts them, and in a clone."""

Seed = Annotated[int, Query(ge=0, lt=2**53)]
"""JavaScript's integers are exact up to 2**53."""


def create_app(runs: Path, data_roots: DataRoots | None = None) -> FastAPI:
    """Return the studio over a folder of runs, without the checks of `security.protect`.

    Args:
        runs: the folder that holds the runs.
        data_roots: the folders below which data may be read; by default the current one.
    """
    data_roots = data_roots or default_data_roots()
    store = RunStore(runs)
    trainings, queue = Trainings(store, data_roots), DrawingQueue(data_roots)
    checks = DataChecks(store, data_roots)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()
        checks.close()

    app = FastAPI(
        title="dcgan studio",
        version=dcgan.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        default_response_class=AsciiResponse,
    )
    add_error_responses(app, store)
    _add_run_routes(app, store, trainings)
    _add_training_routes(app, trainings)
    _add_management_routes(app, store, trainings)
    add_data_routes(app, data_roots, checks)
    _add_film_route(app, store, queue)
    _add_model_routes(app, store, queue)
    _add_static_files(app)
    return app


def _add_run_routes(app: FastAPI, store: RunStore, trainings: Trainings) -> None:
    @app.get("/api/runs", responses=READ_REFUSALS | NOT_MODIFIED)
    def get_runs(request: Request) -> Response:
        """Return every run, the newest first, the models that come with the package, and the presets."""
        runs, failures = list_runs(store, trainings)
        content = {
            "runs": runs,
            "shipped": store.shipped_names(),
            "failed": failures,
            "presets": PRESET_DESCRIPTIONS,
            "default_preset": DEFAULT_PRESET,
        }
        return respond_if_changed(request, content)

    @app.get("/api/runs/{name}", responses=READ_REFUSALS | NOT_MODIFIED)
    def get_run(request: Request, name: str) -> Response:
        """Return what one run is, its charts, its events and its grids."""
        return respond_if_changed(request, show_run(store, trainings, name))

    @app.get("/api/runs/{name}/evaluation", responses=READ_REFUSALS)
    def get_evaluation(name: str) -> dict[str, Any]:
        """Return the metrics of a run with their intervals."""
        return read_evaluation(store.run(name))

    @app.get("/api/runs/{name}/samples/{file}", response_class=FileResponse, responses=READ_REFUSALS | NOT_MODIFIED)
    def get_grid(request: Request, name: str, file: str) -> Response:
        """Return one grid of samples."""
        return respond_with_picture(request, store.grid_path(name, file))


def _add_training_routes(app: FastAPI, trainings: Trainings) -> None:
    @app.post("/api/runs", status_code=201, responses=CHANGE_REFUSALS, openapi_extra=describe_body(StartRequest))
    def start_training(content: Annotated[StartRequest, read_body(StartRequest)]) -> dict[str, str]:
        """Start a training in a process of its own."""
        return {"name": trainings.start(content.preset, content.data, content.minutes, content.settings)}

    @app.post("/api/runs/{name}/stop", responses=CHANGE_REFUSALS)
    def stop_training(name: str) -> dict[str, str]:
        """Ask a training to save its state and stop."""
        trainings.stop(name)
        return {"name": name}

    @app.post("/api/runs/{name}/resume", responses=CHANGE_REFUSALS, openapi_extra=describe_body(ResumeRequest))
    def resume_training(name: str, content: Annotated[ResumeRequest, read_body(ResumeRequest)]) -> dict[str, str]:
        """Resume a run."""
        trainings.resume(name, content.minutes)
        return {"name": name}

    @app.post("/api/runs/{name}/dismiss", responses=CHANGE_REFUSALS)
    def dismiss_failure(name: str) -> dict[str, str]:
        """Forget that a training failed."""
        trainings.dismiss(name)
        return {"name": name}


def _add_management_routes(app: FastAPI, store: RunStore, trainings: Trainings) -> None:
    @app.post("/api/runs/{name}/rename", responses=CHANGE_REFUSALS, openapi_extra=describe_body(RenameRequest))
    def rename(name: str, content: Annotated[RenameRequest, read_body(RenameRequest)]) -> dict[str, str]:
        """Give a run another name."""
        rename_run(store, trainings, name, content.name)
        return {"name": content.name}

    @app.post("/api/runs/{name}/delete", responses=CHANGE_REFUSALS, openapi_extra=describe_body(DeleteRequest))
    def delete(name: str, content: Annotated[DeleteRequest, read_body(DeleteRequest)]) -> dict[str, str]:
        """Delete a run."""
        delete_run(store, trainings, name, content.name)
        return {"name": name}

    @app.post("/api/runs/{name}/note", responses=CHANGE_REFUSALS, openapi_extra=describe_body(NoteRequest))
    def note(name: str, content: Annotated[NoteRequest, read_body(NoteRequest)]) -> dict[str, str]:
        """Write a note about a run."""
        write_note(store, name, content.text)
        return {"name": name}


def _add_film_route(app: FastAPI, store: RunStore, queue: DrawingQueue) -> None:
    content: dict[str, Any] = {kind: {} for kind in MEDIA_TYPES.values()}

    @app.get("/api/runs/{name}/film", responses=READ_REFUSALS | BUSY | {200: {"content": content}})
    async def get_film(name: str, kind: FilmKind = "gif") -> Response:
        """Return the film of a run: the same latents through the training."""
        run = await run_in_threadpool(store.run, name)
        film = await queue.run(lambda _: draw_film(run.path, kind))
        headers = {"content-disposition": f'attachment; filename="film.{kind}"'}
        return Response(film, media_type=MEDIA_TYPES[kind], headers=headers)


def _add_model_routes(app: FastAPI, store: RunStore, queue: DrawingQueue) -> None:
    @app.get("/api/models/{name}", responses=READ_REFUSALS | BUSY)
    async def get_model(name: str) -> dict[str, Any]:
        """Return what a generator draws and its principal directions. It is a run's, or comes with the package."""
        folder = await run_in_threadpool(store.model_folder, name)
        return await queue.run(lambda models: models.describe(folder))

    @app.get("/api/models/{name}/latents", responses=READ_REFUSALS | BUSY)
    async def get_latents(
        name: str,
        seed: Seed = 0,
        n: Annotated[int, Query(ge=1, le=64)] = 16,
        truncation: Annotated[float | None, Query(gt=0, le=10, allow_inf_nan=False)] = None,
    ) -> dict[str, Any]:
        """Return the latents that `dcgan sample` draws from with this seed."""
        folder = await run_in_threadpool(store.model_folder, name)
        return {"z": await queue.run(lambda models: models.latents(folder, seed, n, truncation))}

    @app.post(
        "/api/models/{name}/draw",
        responses=CHANGE_REFUSALS | {200: {"content": {"application/octet-stream": {}}}},
        openapi_extra=describe_body(DrawRequest),
    )
    async def draw(name: str, content: Annotated[DrawRequest, read_body(DrawRequest)]) -> Response:
        """Return the pictures of latents, uint8 (N, H, W, C)."""
        folder = await run_in_threadpool(store.model_folder, name)
        pixels = await queue.run(lambda models: models.draw(folder, content.z, content.labels, content.mix))
        return Response(pixels, media_type="application/octet-stream")

    @app.post(
        "/api/models/{name}/styles",
        responses=CHANGE_REFUSALS | {200: {"content": {"application/octet-stream": {}}}},
        openapi_extra=describe_body(StyleRequest),
    )
    async def mix_styles(name: str, content: Annotated[StyleRequest, read_body(StyleRequest)]) -> Response:
        """Return the pictures of N latents with the styles of each other, uint8 (N·N, H, W, C)."""
        folder = await run_in_threadpool(store.model_folder, name)
        pixels = await queue.run(lambda models: models.mix_styles(folder, content.z, content.labels, content.level))
        return Response(pixels, media_type="application/octet-stream")

    @app.post("/api/models/{name}/scores", responses=CHANGE_REFUSALS, openapi_extra=describe_body(DrawRequest))
    async def score(name: str, content: Annotated[DrawRequest, read_body(DrawRequest)]) -> dict[str, Any]:
        """Return what the run's discriminator thinks of the pictures of latents, and where it looks."""
        folder = await run_in_threadpool(store.model_folder, name)
        return await queue.run(lambda models: models.scores(folder, content.z, content.labels, content.mix))

    @app.post("/api/models/{name}/invert", responses=CHANGE_REFUSALS, openapi_extra=describe_body(InvertRequest))
    async def invert(name: str, content: Annotated[InvertRequest, read_body(InvertRequest)]) -> dict[str, Any]:
        """Return the latent whose picture is nearest to a picture."""
        folder = await run_in_threadpool(store.model_folder, name)
        return await queue.run(lambda models: models.invert(folder, content.pixels))

    @app.get("/api/models/{name}/nearest", responses=READ_REFUSALS | BUSY)
    async def get_nearest(name: str, seed: Seed = 0) -> dict[str, Any]:
        """Return samples and, for each, the nearest training picture."""
        folder = await run_in_threadpool(store.model_folder, name)
        return await queue.run(lambda models: models.nearest(folder, seed))

    @app.get("/api/models/{name}/quiz", responses=READ_REFUSALS | BUSY)
    async def get_quiz(name: str, seed: Seed = 0) -> dict[str, Any]:
        """Return pictures, real ones and generated ones, twenty if there are enough real ones."""
        folder = await run_in_threadpool(store.model_folder, name)
        return await queue.run(lambda models: models.quiz(folder, seed))


def _add_static_files(app: FastAPI) -> None:
    lessons = next((folder for folder in LESSON_FOLDERS if (folder / "learn").is_dir()), None)
    if lessons is not None:
        for name in ("learn", "images"):
            app.mount(f"/{name}", FreshFiles(directory=lessons / name), name=name)
    for address, folder in STATIC_FOLDERS.items():
        with as_file(files("dcgan").joinpath(folder)) as path:
            app.mount(address, FreshFiles(directory=path, html=True), name=folder)
