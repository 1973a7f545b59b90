"""How the studio answers: JSON with an ETag, and one line for whatever goes wrong."""

import hashlib
import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.staticfiles import NotModifiedResponse

from dcgan.errors import UserError
from dcgan.studio.allowed_paths import hide_paths
from dcgan.studio.request_bodies import InvalidRequestError, first_mistake
from dcgan.studio.runs import NotFoundError, RunStore
from dcgan.studio.trainings import BusyError

RETRY_AFTER_S = 1
"""When a refused request may be sent again."""
ETAG_CHARS = 32
ASK_AGAIN = {"cache-control": "no-cache"}
"""The header with which a browser asks each time whether it still has the right content."""


class AsciiResponse(JSONResponse):
    """JSON in ASCII. A name of a file may have bytes that are no UTF-8; as UTF-8, the answer could not be sent."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Refusal(BaseModel):
    """Why a request was refused, in one line."""

    detail: str


def _refusals(**descriptions: str) -> dict[int | str, dict[str, Any]]:
    return {int(key[1:]): {"model": Refusal, "description": text} for key, text in descriptions.items()}


READ_REFUSALS = _refusals(
    _400="A mistake that the text names, or a Host header that does not name this studio",
    _401="The studio needs its token",
    _403="A page of another site sent the request",
    _404="There is no such thing",
    _413="The request is too large",
    _422="The request is not of the form that this route takes",
)
"""Refusals of every route, for the description of the API."""
BUSY = _refusals(_503="Busy: try again after the seconds that the header Retry-After says")
"""The refusal of a route that computes or starts something."""
CHANGE_REFUSALS = READ_REFUSALS | _refusals(_415="The body is not application/json") | BUSY
"""Refusals of every route that takes a body."""
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the ETag that was sent"}
}


def add_error_responses(app: FastAPI, store: RunStore) -> None:
    """Answer every error with one line, which names no folder of this machine."""

    def respond(request: Request, error: Exception) -> Response:
        status = _status(error)
        headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else None
        return AsciiResponse({"detail": hide_paths(" ".join(_reason(error).split()), store.path)}, status, headers)

    def respond_to_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return AsciiResponse({"detail": first_mistake(error.errors())}, 422)

    app.add_exception_handler(UserError, respond)
    app.add_exception_handler(OSError, respond)
    app.add_exception_handler(RequestValidationError, respond_to_parameters)


def respond_if_changed(request: Request, content: dict[str, Any]) -> Response:
    """Return the content as JSON, or 304 if the page that asks has it already: pages ask again and again."""
    body = json.dumps(content, allow_nan=False).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:ETAG_CHARS]}"'
    headers = {"etag": etag, **ASK_AGAIN}
    if _has_already(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def respond_with_picture(request: Request, path: Path) -> Response:
    """Return a PNG file, or 304 if the page has it already.

    The page has to ask, because the name of a run that was deleted or renamed may be given to another one.
    """
    response = FileResponse(path, stat_result=path.stat(), media_type="image/png", headers=ASK_AGAIN)
    return NotModifiedResponse(response.headers) if _has_already(request, response.headers["etag"]) else response


class FreshFiles(StaticFiles):
    """The files of a folder. A browser asks each time whether they have changed, as they do when dcgan is upgraded."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, or 304 if the page has it already."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(ASK_AGAIN)
        return response


def _has_already(request: Request, etag: str) -> bool:
    return etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"a file cannot be read or written: {error.strerror or error}"
    return str(error)


def _status(error: Exception) -> int:
    for kind, status in ((BusyError, 503), (NotFoundError, 404), (InvalidRequestError, 422)):
        if isinstance(error, kind):
            return status
    return 400
