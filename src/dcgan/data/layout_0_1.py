"""Classes and splits as version 0.1.0 found them, for its runs that are resumed: see `rules`."""

from collections.abc import Sequence
from dataclasses import replace

from dcgan.data.layout import TEST_FOLDERS, TRAIN_FOLDERS, common_depth
from dcgan.data.listing import Listing
from dcgan.files import printable


def find_classes_of_0_1(listing: Listing) -> Listing:
    """Return the listing with classes: the folders at one depth, also those of test images only."""
    paths = [file.name.split("/") for file in listing.files]
    depth = common_depth(paths)
    test_folders = _find_test_folders(paths, depth)
    class_depth = depth + 1 if test_folders else depth
    class_names = [path[class_depth] if len(path) > class_depth + 1 else None for path in paths]
    names = sorted({name for name in class_names if name is not None}) if None not in class_names else []
    labels: dict[str | None, int] = {name: i for i, name in enumerate(names)} if len(names) > 1 else {}
    files = [
        replace(file, label=labels.get(name, -1), is_test=bool(test_folders) and path[depth] in test_folders)
        for file, path, name in zip(listing.files, paths, class_names, strict=True)
    ]
    files.sort(key=lambda file: file.is_test)
    return replace(listing, files=files, classes=tuple(map(printable, names)) if labels else ())


def _find_test_folders(paths: list[list[str]], depth: int) -> set[str]:
    """Return the folders of a test split, if all images lie in folders of a training or a test split."""
    if any(len(path) == depth + 1 for path in paths):
        return set()
    folders = {path[depth] for path in paths}
    lowered = {folder.lower() for folder in folders}
    if not (lowered & TRAIN_FOLDERS and lowered & TEST_FOLDERS and lowered <= TRAIN_FOLDERS | TEST_FOLDERS):
        return set()
    return {folder for folder in folders if folder.lower() in TEST_FOLDERS}


def number_classes_of_0_1(listing: Listing, labels: Sequence[int]) -> Listing:
    """Return the listing with one label for each file; every number up to the largest is a class."""
    files = [replace(file, label=label) for file, label in zip(listing.files, labels, strict=True)]
    return replace(listing, files=files, classes=tuple(str(i) for i in range(1 + max(labels, default=-1))))
