"""Which class and which split each file of a listing has, by the names of its folders or by labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dcgan.data.listing import ImageFile, Label, Listing
from dcgan.files import list_names, printable

TRAIN_FOLDERS = {"train", "training"}
"""Names of the folder of a set's training split."""
TEST_FOLDERS = {"test", "testing", "val", "valid", "validation"}
"""Names of the folder of a set's test split."""

PathParts = list[str]
"""The parts of a file's name below the root."""


def find_classes(listing: Listing) -> Listing:
    """Return the listing with the classes and the test split that the names of the folders say.

    The first folders in which training images differ are the classes. Test images are in folders of the same names,
    perhaps at another depth: `train/images/cat` and `test/cat`.
    """
    paths = [file.name.split("/") for file in listing.files]
    is_test, class_paths = find_test_split(paths)
    train_paths = [path for path, test in zip(class_paths, is_test, strict=True) if not test]
    depth = common_depth(train_paths)
    unused_split = _describe_unused_split(paths)
    names = {path[depth] for path in train_paths if len(path) > depth + 1}
    stray_files = [
        file
        for file, path, test in zip(listing.files, class_paths, is_test, strict=True)
        if not test and len(path) == depth + 1
    ]
    if stray_files or len(names) < 2:
        files = [replace(file, is_test=test) for file, test in zip(listing.files, is_test, strict=True)]
        reason = unused_split or _describe_stray_files(stray_files, names)
        notices = [reason] if stray_files and names else []
        listing = replace(listing, no_classes_reason=reason, notices=[*listing.notices, *notices])
        return _sorted_by_split(listing, files, ())
    test_depth = _test_depth([path for path, test in zip(class_paths, is_test, strict=True) if test], names)
    labels = {name: i for i, name in enumerate(sorted(names))}
    files = [
        replace(file, label=labels.get(_folder_at(path, test_depth if test else depth) or "", -1), is_test=test)
        for file, path, test in zip(listing.files, class_paths, is_test, strict=True)
    ]
    left_out = Counter(
        _folder_at(path, test_depth) or "no folder"
        for file, path in zip(files, class_paths, strict=True)
        if file.label < 0
    )
    listing = _sorted_by_split(listing, [file for file in files if file.label >= 0], tuple(sorted(names)))
    notices = [unused_split] if unused_split else []
    return replace(listing, notices=[*listing.notices, *notices, *describe_left_out(left_out)])


def number_classes(listing: Listing, labels: Sequence[int]) -> Listing:
    """Return the listing with one label for each file; the classes are the numbers that training images have."""
    is_test, _ = find_test_split([file.name.split("/") for file in listing.files])
    return assign_classes(listing, labels, is_test)


def assign_classes(
    listing: Listing, labels: Sequence[Label], is_test: Sequence[bool], class_names: Sequence[str] = ()
) -> Listing:
    """Return the listing with one label for each file; the classes are the labels that training images have.

    Args:
        listing: what holds the files.
        labels: one for each file, all of them numbers or all of them names.
        is_test: whether each file is in the set's own test split.
        class_names: names for the labels 0, 1, 2, ...; without them the numbers are the names.
    """

    def name_of(label: Label) -> str:
        return class_names[label] if isinstance(label, int) and label < len(class_names) else str(label)

    known = sorted({label for label, test in zip(labels, is_test, strict=True) if not test}, key=_label_order)
    new_labels = {label: i for i, label in enumerate(known)}
    files = [
        replace(file, label=new_labels[label], is_test=test)
        for file, label, test in zip(listing.files, labels, is_test, strict=True)
        if label in new_labels
    ]
    left_out = Counter(name_of(label) for label in labels if label not in new_labels)
    numbers = [] if class_names else [label for label in known if isinstance(label, int)]
    notices = [*describe_gaps(numbers), *describe_left_out(left_out)]
    listing = _sorted_by_split(listing, files, tuple(map(name_of, known)))
    return replace(listing, notices=[*listing.notices, *notices])


def without_labels(listing: Listing, reason: str, is_test: Sequence[bool] | None = None) -> Listing:
    """Return the listing without classes, but with its test split, which the folders say if `is_test` does not."""
    if is_test is None:
        is_test, _ = find_test_split([file.name.split("/") for file in listing.files])
    files = [replace(file, is_test=test) for file, test in zip(listing.files, is_test, strict=True)]
    return replace(_sorted_by_split(listing, files, ()), no_classes_reason=reason)


def describe_gaps(numbers: Sequence[int]) -> list[str]:
    """Return a line that says which labels are the classes, if they are not 0, 1, 2, ..."""
    if list(numbers) == list(range(len(numbers))):
        return []
    return [f"the classes are the {len(numbers):,} labels that training pictures have: {list_names(map(str, numbers))}"]


def describe_left_out(left_out: Counter[str]) -> list[str]:
    """Return a line that says which classes have test images only; none if there are no such classes."""
    if not left_out:
        return []
    count = left_out.total()
    return [
        f"{count:,} test picture{'s' * (count != 1)} of classes without a training picture "
        f"{'are' if count != 1 else 'is'} left out: {list_names(sorted(left_out))}"
    ]


def find_test_split(paths: Sequence[PathParts]) -> tuple[list[bool], list[PathParts]]:
    """Return whether each file is in the set's own test split, and its path without the folders of splits.

    The folders `train` and `test` may be around the classes (`train/cat`) or in each of them (`cat/train`).
    """
    depth = common_depth(paths)
    for split_depth in (depth, depth + 1):
        if all(len(path) > split_depth + 1 for path in paths):
            lowered = {path[split_depth].lower() for path in paths}
            if lowered & TRAIN_FOLDERS and lowered & TEST_FOLDERS and lowered <= TRAIN_FOLDERS | TEST_FOLDERS:
                is_test = [path[split_depth].lower() in TEST_FOLDERS for path in paths]
                return is_test, [path[:split_depth] + path[split_depth + 1 :] for path in paths]
    return [False] * len(paths), list(paths)


def _describe_unused_split(paths: Sequence[PathParts]) -> str:
    """Return a line about folders `train` and `test` that are no split because of what lies beside them; "" if none."""
    depth = common_depth(paths)
    beside = Counter(path[depth] for path in paths)
    folders = {path[depth] for path in paths if len(path) > depth + 1}
    splits = sorted(name for name in folders if name.lower() in TRAIN_FOLDERS | TEST_FOLDERS)
    lowered = {name.lower() for name in splits}
    others = sorted(set(beside) - set(splits))
    if not others or not (lowered & TRAIN_FOLDERS and lowered & TEST_FOLDERS):
        return ""
    return (
        f"the folders {list_names(splits)} are not used as a split into parts, because {list_names(others)} "
        f"{'lie' if len(others) != 1 else 'lies'} beside them: move {'these' if len(others) != 1 else 'it'} away or "
        "into one of them, or the pictures to test with are trained on"
    )


def common_depth(paths: Sequence[PathParts]) -> int:
    """Return how many folders all images share: `pictures.zip` often holds everything in one folder `pictures/`."""
    if not paths:
        return 0
    first, last = min(paths), max(paths)
    depth = 0
    while depth < min(len(first), len(last)) - 1 and first[depth] == last[depth]:
        depth += 1
    return depth


def _label_order(label: Label) -> tuple[int, str]:
    return (label, "") if isinstance(label, int) else (0, label)


def _test_depth(paths: Sequence[PathParts], names: set[str]) -> int:
    """Return the depth at which most test images are in a folder of a class."""
    depths = range(max((len(path) for path in paths), default=1))
    return max(depths, key=lambda depth: sum(_folder_at(path, depth) in names for path in paths))


def _folder_at(path: Sequence[str], depth: int) -> str | None:
    """Return the folder of an image at a depth; None for an image that is in no such folder."""
    return path[depth] if len(path) > depth + 1 else None


def _sorted_by_split(listing: Listing, files: list[ImageFile], classes: tuple[str, ...]) -> Listing:
    """Return the listing with these files; the order by name stays within each split."""
    return replace(listing, files=sorted(files, key=lambda f: f.is_test), classes=tuple(map(printable, classes)))


def _describe_stray_files(stray_files: list[ImageFile], names: set[str]) -> str:
    """Return why the folders are no classes."""
    if not names:
        return "there are no folders of classes and no labels"
    if not stray_files:
        return f"all pictures are in one folder, {printable(next(iter(names)))}"
    count = len(stray_files)
    return (
        f"{count:,} picture{'s lie' if count != 1 else ' lies'} beside the folder{'s' * (len(names) != 1)} "
        f"{list_names(sorted(names))}, such as {printable(stray_files[0].name)}: move "
        f"{'them into folders' if count != 1 else 'it into one of them'} to have classes"
    )
