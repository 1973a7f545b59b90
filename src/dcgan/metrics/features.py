"""The feature extractors by name. A new one is an entry of `EXTRACTORS`.

- `judge`: 64 penultimate features and the class scores of the digit classifier in the package. Of stacked digits,
  each channel is classified alone: 192 features, and three digits that are read as one number.
- the folder of a judge that `python -m dcgan.metrics.judge` made of your own data.
- `random`: 64 features of a small VGG16 whose weights are drawn from a fixed seed and never trained. It works for any
  data and offline (Naeem et al. 2020 use such a network for data that differ much from ImageNet). Its distances have
  no unit of their own.
- `lite0`, `lite2`: features of two small networks that were trained on ImageNet (`dcgan.models.lite`), with those of
  `random`, for any data and offline.
- `inception`: the 2,048 features of torch-fidelity's Inception v3, if its weights are on the disk or can be
  downloaded.
- `dinov2`, `clip`: features of two vision transformers, if their weights are on the disk or can be downloaded.

The functions of this module import the module of an extractor when they are called: torch takes seconds to import,
and the command line lists the names without it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dcgan.cache import expand_user
from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable
from dcgan.metrics.extractor import FeatureExtractor

__all__ = [
    "DEFAULT_EXTRACTORS",
    "EXTRACTORS",
    "FeatureExtractor",
    "default_extractor",
    "open_default_extractor",
    "open_extractor",
]


def _open_judge(device: str, is_stacked: bool) -> FeatureExtractor:
    from dcgan.metrics.judge.features import open_shipped_judge  # imports torch

    return open_shipped_judge(device, is_stacked)


def _open_inception(device: str, is_stacked: bool) -> FeatureExtractor:
    from dcgan.metrics.inception import open_inception  # imports torch

    return open_inception(device)


def _open_lite(name: str, device: str, is_stacked: bool) -> FeatureExtractor:
    from dcgan.metrics.lite import open_lite  # imports torch

    return open_lite(name, device)


def _open_transformer(name: str, device: str, is_stacked: bool) -> FeatureExtractor:
    from dcgan.metrics.transformers import open_transformer  # imports torch

    return open_transformer(name, device)


def _open_random(device: str, is_stacked: bool) -> FeatureExtractor:
    from dcgan.metrics.random_vgg import open_random_vgg  # imports torch

    return open_random_vgg(device)


EXTRACTORS: dict[str, Callable[[str, bool], FeatureExtractor]] = {
    "judge": _open_judge,
    "lite0": partial(_open_lite, "lite0"),
    "lite2": partial(_open_lite, "lite2"),
    "random": _open_random,
    "inception": _open_inception,
    "dinov2": partial(_open_transformer, "dinov2"),
    "clip": partial(_open_transformer, "clip"),
}
"""A function for each name. It gets the device, and whether the pictures are digits that are stacked as channels."""
DEFAULT_EXTRACTORS = {("mnist", (1, 28, 28)): "judge", ("stacked-mnist", (3, 28, 28)): "judge"}
"""The extractor of a data set at an image shape (C, H, W), where it is not `FALLBACK_EXTRACTOR`: the judge was trained
on these digits."""
FALLBACK_EXTRACTOR = "lite0"
"""The extractor of all other data: of those that need no download, it ranks alterations of pictures most as a person
does (docs/evaluation.md)."""
OFFLINE_EXTRACTOR = "random"
"""The extractor that serves in its place where a package that it needs is missing."""


def default_extractor(data: str, image_shape: tuple[int, int, int]) -> str:
    """Return the name of the extractor that is used for a data set if the user names none."""
    return DEFAULT_EXTRACTORS.get((data, image_shape), FALLBACK_EXTRACTOR)


def open_default_extractor(
    data: str, image_shape: tuple[int, int, int], *, is_stacked: bool = False, device: str = "cpu"
) -> FeatureExtractor:
    """Load the extractor that is used for a data set if the user names none.

    Where a package that it needs is missing, `random` serves, and one of its notices says so.
    """
    from dcgan.models.lite import MissingWeightsError  # imports torch

    name = default_extractor(data, image_shape)
    try:
        return open_extractor(name, is_stacked=is_stacked, device=device)
    except MissingWeightsError as error:
        extractor = open_extractor(OFFLINE_EXTRACTOR, device=device)
        return replace(extractor, notices=(*extractor.notices, f"{error}; {extractor.name} serves in its place"))


def open_extractor(name: str, *, is_stacked: bool = False, device: str = "cpu") -> FeatureExtractor:
    """Load a feature extractor.

    Args:
        name: a key of `EXTRACTORS`, or the folder of a judge that `python -m dcgan.metrics.judge` made.
        is_stacked: whether the pictures are digits that are stacked as channels; only the judge uses it.
        device: where the network computes.

    Raises:
        UserError: there is no such extractor, or its weights are missing or damaged.
    """
    if name in EXTRACTORS:
        return EXTRACTORS[name](device, is_stacked)
    if (expand_user(name) / "config.json").is_file():
        from dcgan.metrics.judge.features import open_judge_folder  # imports torch

        return open_judge_folder(name, device)
    raise UserError(
        f"there are no features {printable(name)!r}{did_you_mean(name, EXTRACTORS)}: give {', '.join(EXTRACTORS)}, "
        "or the folder of a judge of your own"
    )
