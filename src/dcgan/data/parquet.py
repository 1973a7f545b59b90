"""`.parquet` files of images, as the sets on Hugging Face's Hub are: their rows, classes and splits."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgan.data.arrays import refuse_damage
from dcgan.data.labels import use_labels
from dcgan.data.layout import without_labels
from dcgan.data.listing import ImageFile, Listing, empty_listing
from dcgan.data.members import file_version
from dcgan.data.parquet_rows import image_columns, open_parquet
from dcgan.data.shards import split_shards
from dcgan.errors import UserError
from dcgan.files import list_names, printable

LABEL_COLUMNS = ("label", "labels")


@dataclass(frozen=True)
class _Shard:
    """One file.

    Attributes:
        fingerprint: its size and modification time.
        count: the number of its rows.
        column: name of the column of labels; None if there is none.
        labels: one for each row, or none.
        class_names: names for the labels 0, 1, 2, ..., or none.
        notices: lines about what is not used.
    """

    fingerprint: tuple[int, int]
    count: int
    column: str | None
    labels: list[Any]
    class_names: tuple[str, ...]
    notices: tuple[str, ...]


def list_parquet(paths: Sequence[Path], root: Path) -> Listing:
    """List the images of one or several files.

    Args:
        paths: the files.
        root: the folder that holds them, or the only file.

    Raises:
        UserError: pyarrow is not installed; a file is damaged or holds no images; or files have other classes.
    """
    root_name = printable(str(root))
    names = [path.name if path == root else path.relative_to(root).as_posix() for path in paths]
    splits, notices = split_shards(names)
    files, labels, is_test = [], [], []
    first: _Shard | None = None
    for path, name, split in zip(paths, names, splits, strict=True):
        if split is None:
            continue
        with refuse_damage(printable(str(path)), "is damaged, or no .parquet"):
            shard = _read_shard(path)
        first = first or shard
        if (shard.column, shard.class_names) != (first.column, first.class_names):
            raise UserError(f"{root_name}: {printable(name)} has other classes than {printable(names[0])}")
        rows = map(str, range(shard.count))
        files += [ImageFile(f"{name}/{row}", os.fspath(path), row, shard.fingerprint) for row in rows]
        labels += shard.labels
        is_test += [split] * shard.count
    if first is None or not files:
        raise UserError(f"{root_name} has no rows")
    listing = empty_listing(files, [*notices, *first.notices])
    if first.column is None:
        return without_labels(listing, "it has no column label", is_test)
    source = f"the column {printable(first.column)}"
    return use_labels(listing, labels, is_test, source=source, root_name=root_name, class_names=first.class_names)


def _read_shard(path: Path) -> _Shard:
    version = file_version(path)
    with open_parquet(os.fspath(path)) as file:
        schema = file.schema_arrow
        if not image_columns(schema):
            columns = [f"{field.name} ({field.type})" for field in schema]
            raise UserError(
                f"{printable(str(path))} has no column of pictures, which holds bytes or {{bytes, path}}: it has "
                f"{list_names(columns)}"
            )
        features = _read_features(schema.metadata or {})
        column, notices = _find_label_column(schema.names, features)
        labels = file.read(columns=[column])[column].to_pylist() if column is not None else []
        count = file.metadata.num_rows
    names = _class_names(features.get(column or ""))
    return _Shard(version, count, column, labels, names, notices)


def _find_label_column(names: Sequence[str], features: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return the name of the column of labels, and a line if there are several and none is called so."""
    for name in LABEL_COLUMNS:
        if name in names:
            return name, ()
    others = [name for name in names if _class_names(features.get(name))]
    if len(others) == 1:
        return others[0], ()
    notice = f"there are no classes, because no column is called label, and several hold classes: {list_names(others)}"
    return None, (notice,) if others else ()


def _read_features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """Return Hugging Face's description of the columns; nothing if there is none."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _class_names(feature: object) -> tuple[str, ...]:
    """Return the names of the classes of a column; none if it holds no classes."""
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
