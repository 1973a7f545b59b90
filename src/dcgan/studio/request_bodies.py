"""The bodies of requests: what they may hold, and how they are read so that no body keeps other requests waiting.

FastAPI parses a body in the event loop, collects every mistake, and puts all of the input into its answer: a body of
1 MB can then be answered with 34 MB after 15 s. Here the length of lists is limited before anything is parsed, the
first mistake ends the check, and the answer is one line without the input.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Base64Bytes, BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator

from dcgan.config import MAX_SIZE, Fit
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.studio.runs import MAX_NAME_CHARS, MAX_NOTE_CHARS

MAX_IMAGE_BYTES = 4 * 256 * 256
MAX_LATENTS = 64
MAX_STYLES = 6
"""Latents whose styles are mixed, each with each."""
MAX_COORDINATES = 2**16
"""Numbers in all latents of a request together."""
MAX_DETAIL_CHARS = 300
"""Characters of the line that says what is wrong."""

MAX_PART_BYTES = 2**19
"""Bytes of a file that come in one request; as base64 they have less than the 1 MiB of a request."""

Coordinate = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Latent = Annotated[list[Coordinate], FailFast(), Field(min_length=1, max_length=4096)]
Label = Annotated[int, Field(ge=0, le=65_535)]
DataName = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]
Minutes = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]


class InvalidRequestError(UserError):
    """A request is not of the form that its route takes."""


class RequestBody(BaseModel):
    """A body, as a JSON object with these fields and no others.

    Attributes:
        max_commas: how many commas the JSON may have. It bounds the number of values, and with it the time that the
            body needs, before anything is parsed.
    """

    model_config = ConfigDict(extra="forbid")
    max_commas: ClassVar[int] = 1000


Body = TypeVar("Body", bound=RequestBody)


class StartRequest(RequestBody):
    """A training to start. Without a preset the data decide on it, and without a setting the preset does."""

    preset: str | None = Field(default=None, max_length=40)
    data: DataName = "mnist"
    minutes: Minutes = 3.0
    image_size: str | None = Field(default=None, pattern=r"^[0-9]{1,3}(x[0-9]{1,3})?$")
    fit: Fit | None = None
    batch_size: int | None = Field(default=None, gt=0, le=MAX_SIZE)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given: those that a check of data advises."""
        return self.model_dump(include={"image_size", "fit", "batch_size"}, exclude_none=True)


class ResumeRequest(RequestBody):
    """How long a resumed run trains, counted from its start."""

    minutes: Minutes


class RenameRequest(RequestBody):
    """The new name of a run."""

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)


class DeleteRequest(RequestBody):
    """The name of the run that is deleted, repeated."""

    name: str = Field(min_length=1, max_length=255)


class NoteRequest(RequestBody):
    """A note about a run; an empty one removes it."""

    max_commas: ClassVar[int] = MAX_NOTE_CHARS
    text: str = Field(max_length=MAX_NOTE_CHARS)


class CheckRequest(RequestBody):
    """Data to examine."""

    data: DataName


class NewSetRequest(RequestBody):
    """The name of a set that is made of files that follow."""

    name: str = Field(min_length=1, max_length=40)


class FilePartRequest(RequestBody):
    """A part of a file for a new set, as base64."""

    file: str = Field(min_length=1, max_length=120)
    offset: int = Field(ge=0, le=2**40)
    content: Base64Bytes = Field(max_length=2 * MAX_PART_BYTES)
    is_last: bool


class DrawRequest(RequestBody):
    """Latents to draw, their classes if the model has classes, and a class that all of them are mixed with."""

    max_commas: ClassVar[int] = MAX_COORDINATES + MAX_LATENTS
    z: Annotated[list[Latent], FailFast()] = Field(min_length=1, max_length=MAX_LATENTS)
    labels: list[Label] | None = Field(default=None, max_length=MAX_LATENTS)
    mix_label: Label | None = None
    mix_share: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_size(self) -> "DrawRequest":
        if sum(map(len, self.z)) > MAX_COORDINATES:
            raise ValueError(f"the latents may have {MAX_COORDINATES} numbers in all")
        return self

    @property
    def mix(self) -> tuple[int, float] | None:
        """The class that all are mixed with, and its share; None for pure classes."""
        return None if self.mix_label is None else (self.mix_label, self.mix_share)


class StyleRequest(RequestBody):
    """Latents whose styles are mixed, their classes if the model has classes, and the layer from which on."""

    max_commas: ClassVar[int] = MAX_COORDINATES
    z: Annotated[list[Latent], FailFast()] = Field(min_length=2, max_length=MAX_STYLES)
    labels: list[Label] | None = Field(default=None, max_length=MAX_STYLES)
    level: int = Field(ge=1, le=100)


class InvertRequest(RequestBody):
    """A picture of the size that the model draws: bytes (H, W, C) in that order, as base64."""

    pixels: Base64Bytes = Field(min_length=1, max_length=MAX_IMAGE_BYTES)


def read_body(model: type[Body]) -> Any:
    """Return the dependency of a route that gives it the request's body as `model`."""

    async def read(request: Request) -> Body:
        content = await request.body()
        if content.count(b",") > model.max_commas:
            raise InvalidRequestError("the request has too many values")
        return await run_in_threadpool(_parse, model, content)

    reader: Callable[[Request], Awaitable[Body]] = read
    return Depends(reader)


def describe_body(model: type[RequestBody]) -> dict[str, Any]:
    """Return what the description of the API says of the body of a route."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def first_mistake(errors: Any) -> str:
    """Return the first of pydantic's errors as one line, without the input."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    return printable(f"{place}: {first['msg']}" if place else first["msg"])[:MAX_DETAIL_CHARS]


def _parse(model: type[Body], content: bytes) -> Body:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise InvalidRequestError(first_mistake(error.errors(include_url=False, include_input=False))) from None
