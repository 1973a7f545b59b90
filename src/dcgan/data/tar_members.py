"""The members of a `.tar`. Nothing is unpacked, no link is followed, and damage costs only what follows it."""

import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dcgan.data.passed_over import check_not_outside
from dcgan.errors import UserError
from dcgan.files import error_reason, printable

DAMAGE_ERRORS = (
    tarfile.TarError,
    ValueError,
    LookupError,
    OverflowError,
    EOFError,
    MemoryError,  # a header may announce a name of any length
    RecursionError,  # long names may follow each other without end
)
"""What `tarfile` raises for damaged archives."""
CUT_OFF = "the archive ends before it does"
"""Why the last member of an archive without its tail cannot be read."""
SEARCHED_BYTES = 2**20
"""Bytes after the end mark in which other content is searched."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member that is no folder.

    Attributes:
        name: its path in the archive, with slashes and without `./`.
        offset: where its content begins in the archive.
        size: bytes of its content.
        obstacle: why it cannot be read; empty if it can.
    """

    name: str
    offset: int
    size: int
    obstacle: str


def read_members(path: Path, say: Callable[[str], None]) -> Iterator[TarMember]:
    """Yield the members of an archive.

    Args:
        path: the archive.
        say: takes one line about damage, after which nothing more is yielded.

    Raises:
        UserError: it is no tar, it cannot be read, or a member's name leads out of it.
    """
    archive_name = printable(str(path))
    try:
        size = os.path.getsize(path)
        with tarfile.open(path, "r:") as archive:
            yield from _read_headers(archive, size, archive_name, say)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {archive_name}: {error.strerror or error}") from None
    except DAMAGE_ERRORS as error:
        raise UserError(
            f"{archive_name} is damaged, or no .tar (unpack a .tar.gz first): {error_reason(error)}"
        ) from None


def _read_headers(
    archive: tarfile.TarFile, size: int, archive_name: str, say: Callable[[str], None]
) -> Iterator[TarMember]:
    last = -1
    while True:
        begin = archive.offset
        try:
            member = archive.next()
        except DAMAGE_ERRORS as error:
            say(f"the archive is damaged at byte {begin:,}, and what follows is not read: {error_reason(error)}")
            return
        if member is None:
            if problem := _problem_at_end(archive):
                say(problem)
            return
        if member.offset <= last:  # a negative size would lead back, again and again
            say(f"the archive is damaged at byte {last:,}, and what follows is not read")
            return
        last = member.offset
        archive.members.clear()  # type: ignore[attr-defined]  # it would grow with the archive
        if member.isdir():
            continue
        check_not_outside(member.name, archive_name, "tar")
        obstacle = _obstacle_of(member, size)
        yield TarMember(str(PurePosixPath(member.name)), member.offset_data, member.size, obstacle)
        if obstacle == CUT_OFF:  # nothing follows, and that line is enough
            return


def _obstacle_of(member: tarfile.TarInfo, archive_size: int) -> str:
    """Return why a member cannot be read; an empty text if it can."""
    if member.issym() or member.islnk():
        return "a link inside a tar"
    if not member.isreg() or member.issparse():
        return "not a plain file"
    return CUT_OFF if member.offset_data + member.size > archive_size else ""


def _problem_at_end(archive: tarfile.TarFile) -> str:
    """Return what is wrong where the last header was found; an empty text if an end mark is there."""
    file = archive.fileobj
    file.seek(archive.offset)
    mark = file.read(tarfile.BLOCKSIZE)
    if mark.strip(b"\0"):
        return f"the archive is damaged at byte {archive.offset:,}, and what follows is not read: no header is there"
    if not mark:
        return "the archive has no end mark: it may have been longer"
    if file.read(SEARCHED_BYTES).strip(b"\0"):
        return "what follows the archive's end mark is not read: it may be two archives in one file"
    return ""
