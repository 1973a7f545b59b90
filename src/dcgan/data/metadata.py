"""The `metadata.csv` or `metadata.jsonl` of Hugging Face's `imagefolder`: the files of a set and their labels."""

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dcgan.data.labels import use_labels
from dcgan.data.layout import find_classes, find_test_split
from dcgan.data.listing import Listing
from dcgan.errors import UserError
from dcgan.files import composed, error_reason, printable

METADATA_FILES = ("metadata.csv", "metadata.jsonl")
MAX_METADATA_BYTES = 256 * 2**20
"""Bytes of a metadata file that are read."""
NAME_COLUMN, LABEL_COLUMN = "file_name", "label"

Rows = dict[str, Any]
"""File names below the root, and their labels; None where there is no label."""


def parse_metadata(name: str, content: bytes, root_name: str) -> Rows | None:
    """Return the rows of a metadata file; None if it has no column `file_name`, so that it is not `imagefolder`'s.

    Args:
        name: its path below the root, with slashes.
        content: its bytes.
        root_name: printable name of the set.

    Raises:
        UserError: it is damaged, or names a file outside of its folder.
    """
    where = f"{root_name}: {printable(name)}"
    if len(content) > MAX_METADATA_BYTES:
        raise UserError(f"{where} is larger than {MAX_METADATA_BYTES >> 20} MiB")
    rows: Rows = {}
    number = 0
    try:
        read = _read_json_lines if name.lower().endswith(".jsonl") else _read_csv
        for number, row in read(content.decode("utf-8-sig")):
            if not rows and NAME_COLUMN not in row:
                return None
            _add_row(rows, posixpath.dirname(name), row, f"{where}, line {number}")
    except UserError:
        raise
    except UnicodeDecodeError:  # for example the code page of a Korean Windows, in which its Excel saves
        raise UserError(f"{where} is not UTF-8: save it as UTF-8 (in Excel: CSV UTF-8)") from None
    except (ValueError, csv.Error, RecursionError) as error:
        raise UserError(f"{where} is damaged after line {number}: {error_reason(error)}") from None
    return rows or None


def match_metadata(listing: Listing, sources: Mapping[str, Rows], root_name: str) -> Listing:
    """Return the files that rows name, with the classes of their labels, or of their folders if there are no labels.

    Args:
        listing: all files below the root.
        sources: the rows of each metadata file, by its path below the root. Of two files that name one image, the one
            in the deeper folder counts.
        root_name: printable name of the set.

    Raises:
        UserError: a folder has metadata in both formats, or a label is neither a number nor a name.
    """
    _check_one_in_folder(sources, root_name)
    by_depth = sorted(sources, key=lambda name: name.count("/"))
    row_sources = {file_name: source for source in by_depth for file_name in sources[source]}
    keys = [_key(file.name) for file in listing.files]
    has_row = [key in row_sources for key in keys]
    kept = [file for file, has in zip(listing.files, has_row, strict=True) if has]
    names = " and ".join(map(printable, sorted({posixpath.basename(source) for source in sources})))
    skipped = [(f.name, f"{names} does not name it") for f, has in zip(listing.files, has_row, strict=True) if not has]
    known = {*keys, *(_key(name) for name, _ in listing.skipped_files)}
    skipped += [
        (file_name, f"{printable(source)} names it, and there is no such picture")
        for file_name, source in row_sources.items()
        if file_name not in known
    ]
    listing = replace(listing, files=kept, skipped_files=[*listing.skipped_files, *skipped])
    labels = [sources[row_sources[key]][key] for key in keys if key in row_sources]
    if all(label is None for label in labels):
        return find_classes(listing)
    is_test, _ = find_test_split([file.name.split("/") for file in kept])
    return use_labels(listing, labels, is_test, source=names, root_name=root_name)


def _read_csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if NAME_COLUMN not in (reader.fieldnames or ()):
        yield 1, {}
        return
    for row in reader:
        yield reader.line_num, row


def _read_json_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = json.loads(line)
            yield number, row if isinstance(row, dict) else {}


def _add_row(rows: Rows, folder: str, row: Mapping[str, Any], where: str) -> None:
    """Add one row.

    Raises:
        UserError: it names no file, or one outside of the folder; or it contradicts a row before.
    """
    name = row.get(NAME_COLUMN)
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"{where}: it has no {NAME_COLUMN}")
    path = posixpath.normpath(name.replace("\\", "/"))
    if path.startswith("/") or path == ".." or path.startswith("../") or path[1:2] == ":":
        raise UserError(
            f"{where} names {printable(name)}, which is outside of its folder: put the pictures below it, and write "
            "their names from there"
        )
    key, label = _key(posixpath.join(folder, path)), row.get(LABEL_COLUMN)
    if rows.setdefault(key, label) != label:
        raise UserError(f"{where} gives {printable(name)} another label than a line before")


def _check_one_in_folder(sources: Mapping[str, Rows], root_name: str) -> None:
    """Refuse a folder that has metadata in both formats."""
    folders: dict[str, str] = {}
    for name in sources:
        other = folders.setdefault(posixpath.dirname(name), name)
        if other != name:
            raise UserError(f"{root_name} has both {printable(other)} and {printable(name)}: remove one of them")


def _key(name: str) -> str:
    """Return a name with slashes, as `composed` returns it."""
    return composed(posixpath.normpath(name.replace("\\", "/")))
