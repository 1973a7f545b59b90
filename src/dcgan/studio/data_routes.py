"""The routes of the start form: which data there are, what is in them, and new sets of files that a page sends."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import FileResponse

from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.data_checks import DataChecks
from dcgan.studio.data_folders import list_data
from dcgan.studio.request_bodies import CheckRequest, FilePartRequest, NewSetRequest, describe_body, read_body
from dcgan.studio.responses import CHANGE_REFUSALS, READ_REFUSALS
from dcgan.studio.uploads import Uploads

Folder = Annotated[str, Query(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]


def add_data_routes(app: FastAPI, data_roots: DataRoots, checks: DataChecks) -> None:
    """Add the routes below `/api/data`."""
    _add_folder_routes(app, data_roots)
    _add_check_routes(app, checks)
    _add_upload_routes(app, Uploads(data_roots))


def _add_folder_routes(app: FastAPI, data_roots: DataRoots) -> None:
    @app.get("/api/data/folders", responses=READ_REFUSALS)
    def get_folders(folder: Folder = "") -> dict[str, Any]:
        """Return what may be chosen as data in a folder below the data roots."""
        return list_data(data_roots, folder)


def _add_check_routes(app: FastAPI, checks: DataChecks) -> None:
    @app.post("/api/data/checks", status_code=201, responses=CHANGE_REFUSALS, openapi_extra=describe_body(CheckRequest))
    def start_check(content: Annotated[CheckRequest, read_body(CheckRequest)]) -> dict[str, str]:
        """Examine data as `dcgan data check` does, in a process of its own."""
        return {"id": checks.start(content.data)}

    @app.get("/api/data/checks/{check_id}", responses=READ_REFUSALS)
    def get_check(check_id: str) -> dict[str, Any]:
        """Return how far a check is, and what it has found."""
        return checks.result(check_id)

    @app.get("/api/data/checks/{check_id}/sheet", response_class=FileResponse, responses=READ_REFUSALS)
    def get_sheet(check_id: str) -> FileResponse:
        """Return the contact sheet of a check."""
        return FileResponse(checks.sheet(check_id), media_type="image/png")


def _add_upload_routes(app: FastAPI, uploads: Uploads) -> None:
    @app.post("/api/data/sets", status_code=201, responses=CHANGE_REFUSALS, openapi_extra=describe_body(NewSetRequest))
    def make_set(content: Annotated[NewSetRequest, read_body(NewSetRequest)]) -> dict[str, str]:
        """Make an empty set below the first data root."""
        return {"name": uploads.make_set(content.name)}

    @app.post("/api/data/sets/{name}/files", responses=CHANGE_REFUSALS, openapi_extra=describe_body(FilePartRequest))
    def add_part(name: str, content: Annotated[FilePartRequest, read_body(FilePartRequest)]) -> dict[str, str]:
        """Append a part to a file of a new set."""
        part = bytes(content.content)
        return {"data": uploads.add(name, content.file, content.offset, part, is_last=content.is_last)}
