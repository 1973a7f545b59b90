"""The labels of StyleGAN's `dataset.json`: `{"labels": [["00000/img00000000.png", 6], ...]}`."""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dcgan.data.arrays import MAX_CLASSES
from dcgan.data.listing import Listing
from dcgan.errors import UserError
from dcgan.files import printable

LABELS_FILE = "dataset.json"
MAX_LABELS_BYTES = 64 * 2**20
"""Bytes of a `dataset.json` that are read."""

Labels = dict[str, Any]
"""File names and their labels."""


def parse_labels(content: bytes, root_name: str, folder: str = "") -> Labels | None:
    """Return the labels of a `dataset.json` in a folder below the root; None if it says that there are none.

    Raises:
        UserError: it is damaged.
    """
    try:
        if len(content) > MAX_LABELS_BYTES:
            raise ValueError
        labels = json.loads(content)["labels"]
        return None if labels is None else {clean_name(f"{folder}{name}"): label for name, label in labels}
    except UnicodeDecodeError:
        raise UserError(f"{root_name}: its dataset.json is not UTF-8: save it as UTF-8") from None
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(
            f'{root_name}: its dataset.json is damaged: it needs {{"labels": [["NAME", NUMBER], ...]}}, or another '
            "name if it is not StyleGAN's"
        ) from None


def merge_labels(contents: Mapping[str, bytes], root_name: str) -> Labels | None:
    """Return the labels of the `dataset.json` at the root, or of those one folder down, by their folders.

    Raises:
        UserError: one of them is damaged.
    """
    if "" in contents:
        return parse_labels(contents[""], root_name)
    parts = [parse_labels(content, root_name, folder) for folder, content in contents.items()]
    return {name: label for part in parts if part for name, label in part.items()} if any(parts) else None


def clean_name(name: str) -> str:
    """Return a name with slashes and without `./`."""
    return posixpath.normpath(name.replace("\\", "/"))


def match_labels(listing: Listing, labels: Labels, root_name: str) -> tuple[Listing, list[int]]:
    """Return the files that have labels, and these; files without a label are skipped.

    Raises:
        UserError: a label is no class number.
    """
    files, numbers, skipped_files = [], [], list(listing.skipped_files)
    for file in listing.files:
        label = labels.get(clean_name(file.name))
        if isinstance(label, list) and all(value in (0, 1) for value in label) and sum(label) == 1:
            label = label.index(1)  # one-hot, which some tools write
        if label is None:
            skipped_files.append((file.name, "dataset.json has no label for it"))
        elif isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < MAX_CLASSES:
            raise UserError(
                f"{root_name}: the label of {printable(file.name)} in dataset.json is no class number: "
                'write whole numbers from 0, or "labels": null to train without classes'
            )
        else:
            files.append(file)
            numbers.append(label)
    return replace(listing, files=files, skipped_files=skipped_files), numbers
