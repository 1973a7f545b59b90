"""Sets of Hugging Face's Hub, `hf:USER/NAME`: `datasets` streams them, and `.parquet` files in the cache keep them."""

import logging
import re
from pathlib import Path
from typing import Any

from dcgan.cache import CANNOT_WRITE, cache_folder, cache_key, new_cache_entry
from dcgan.data.location import HUB_PREFIX
from dcgan.data.parquet import LABEL_COLUMNS
from dcgan.data.parquet_rows import IMAGE_COLUMNS
from dcgan.errors import UserError
from dcgan.files import error_reason, printable
from dcgan.system.install import install_command
from dcgan.system.preparation import preparation_bar

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
BATCH_ROWS = 100
"""Rows that are in memory at a time, and in a row group."""


def fetch_hub_set(data: str) -> Path:
    """Return the folder in the cache that holds a set of the Hub, which is downloaded now if it is not there.

    Args:
        data: `hf:USER/NAME`.

    Raises:
        UserError: the name is none, `datasets` is not installed, the set cannot be loaded, or it holds no pictures.
    """
    name = data.removeprefix(HUB_PREFIX)
    if not NAME.fullmatch(name):
        raise UserError(f"{printable(data)} is no set of the Hub: give {HUB_PREFIX}USER/NAME")
    key = cache_key("hub", name)
    if not (cache_folder() / key).is_dir():
        with new_cache_entry(key) as folder:
            _download(name, folder)
    return cache_folder() / key


def _download(name: str, folder: Path) -> None:
    """Write one `.parquet` file for each split."""
    try:
        import datasets  # optional, and seconds
    except ModuleNotFoundError as error:
        raise UserError(f"{HUB_PREFIX}{name} needs {error.name}: {install_command('hf')}") from None
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns before each retry; the error says it once
    try:
        for split, rows in datasets.load_dataset(name, streaming=True).items():
            _write_split(folder / f"{split}.parquet", rows, f"{name} {split}")
    except UserError:
        raise
    except Exception as error:  # of the network, of the Hub, of `datasets` and of what it reads with
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            raise
        reason = error_reason(error)
        raise UserError(
            f"{HUB_PREFIX}{name} cannot be loaded ({reason}): download its pictures or .parquet files yourself, and "
            "give their folder"
        ) from None


def _write_split(path: Path, rows: Any, title: str) -> None:
    """Write the images and the labels of a split, with the description of their columns."""
    import datasets
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    features = rows.features or {}
    image_column = _find_image_column(title, features)
    labels = [name for name, feature in features.items() if _is_label(name, feature, datasets.ClassLabel)]
    image = datasets.Image(decode=False)
    rows = rows.select_columns([image_column, *labels]).cast_column(image_column, image)
    schema = rows.features.arrow_schema
    batches = rows.with_format("arrow").iter(batch_size=BATCH_ROWS)
    with (
        ParquetWriter(path, schema) as writer,
        preparation_bar(f"loading {title}", None, by_default=True) as bar,
    ):
        for table in batches:
            column = image.embed_storage(pa.chunked_array(table[image_column]).combine_chunks())
            table = table.set_column(table.schema.get_field_index(image_column), image_column, column)
            writer.write_table(table.select(schema.names).cast(schema))
            bar.update(len(table))


def _find_image_column(title: str, features: dict[str, Any]) -> str:
    """Return the name of the column of images; of several, one with a usual name, or the first."""
    import datasets

    names = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if not names:
        raise UserError(f"{HUB_PREFIX}{title} has no column of pictures: it has {', '.join(map(printable, features))}")
    return next((name for name in IMAGE_COLUMNS if name in names), names[0])


def _is_label(name: str, feature: object, class_label: type) -> bool:
    return isinstance(feature, class_label) or name in LABEL_COLUMNS
