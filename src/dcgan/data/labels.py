"""The labels that are written beside images, numbers or names, become classes."""

from collections.abc import Sequence
from dataclasses import replace

from dcgan.data.arrays import MAX_NAME_CHARS
from dcgan.data.layout import assign_classes, without_labels
from dcgan.data.listing import Label, Listing
from dcgan.errors import UserError
from dcgan.files import printable


def use_labels(
    listing: Listing,
    labels: Sequence[object],
    is_test: Sequence[bool],
    *,
    source: str,
    root_name: str,
    class_names: Sequence[str] = (),
) -> Listing:
    """Return the listing with the classes of its files; where some files have no label, these are skipped.

    Args:
        listing: what holds the files.
        labels: one for each file: a number, a name, or None; a negative number is no label.
        is_test: whether each file is in the set's own test split.
        source: printable name of what holds the labels.
        root_name: printable name of the set.
        class_names: names for the labels 0, 1, 2, ...; without them the numbers are the names.

    Raises:
        UserError: a label is neither a number nor a name.
    """
    cleaned = [clean_label(label) for label in labels]
    for file, label, clean in zip(listing.files, labels, cleaned, strict=True):
        if clean is None and not _is_missing(label):
            raise UserError(
                f"{root_name}: the label of {printable(file.name)} in {source} is neither a whole number nor a name: "
                f"write one of these for each picture, or remove the labels in {source} to train without classes"
            )
    if all(label is None for label in cleaned):
        return without_labels(listing, f"{source} has no labels", is_test)
    rows = list(zip(listing.files, _of_one_type(cleaned), is_test, strict=True))
    skipped = [(file.name, f"{source} has no label for it") for file, label, _ in rows if label is None]
    listing = replace(
        listing,
        files=[file for file, label, _ in rows if label is not None],
        skipped_files=[*listing.skipped_files, *skipped],
    )
    used = [(label, test) for _, label, test in rows if label is not None]
    return assign_classes(listing, [label for label, _ in used], [test for _, test in used], class_names)


def clean_label(label: object) -> Label | None:
    """Return a label as a number or a name; None if there is none, or if it is neither."""
    if isinstance(label, int) and not isinstance(label, bool):
        return label if label >= 0 else None
    if isinstance(label, str) and label.strip():
        return label.strip()[:MAX_NAME_CHARS]
    return None


def _is_missing(label: object) -> bool:
    is_number = isinstance(label, int) and not isinstance(label, bool)
    return label is None or is_number or isinstance(label, str)


def _of_one_type(labels: Sequence[Label | None]) -> Sequence[Label | None]:
    """Return numbers if all labels are numbers, also if they are written as texts; otherwise names."""
    if all(label is None or isinstance(label, int) or _is_number(label) for label in labels):
        return [None if label is None or str(label).startswith("-") else int(label) for label in labels]
    return [None if label is None else str(label) for label in labels]


def _is_number(text: str) -> bool:
    """Return whether a text is a number as Python writes it: `7`, and not `07`, which may be another class."""
    try:
        return str(int(text)) == text
    except ValueError:  # also numbers of thousands of digits
        return False
