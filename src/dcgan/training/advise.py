"""`dcgan data check`: what is in a data set, which settings suit it and why, and what training on it costs here."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcgan.cache import expand_user
from dcgan.config import FEW_PICTURES, NO_DURATION, TOO_FEW_PICTURES, Config, split_specs
from dcgan.data import check
from dcgan.data.find import list_file_names
from dcgan.data.location import check_not_empty, is_named_set
from dcgan.data.open import ImageSet, open_images
from dcgan.data.passed_over import CONTACT_SHEET_SUFFIX, RUNS_FOLDER
from dcgan.data.value_range import ValueRange
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import save_png
from dcgan.presets import (
    BETTER_IMAGES,
    BETTER_KID,
    COLOR_PRESET,
    DEFAULT_PRESET,
    MAX_MATCHED_PICTURES,
    MEASURED_SET,
    PRESETS,
    RECOGNIZABLE_IMAGES,
    RECOGNIZABLE_KID,
    configure,
    train_command,
)
from dcgan.run.folder import name_in_runs
from dcgan.system.allocator import keep_freed_memory
from dcgan.system.torch_settings import isolate_torch_settings
from dcgan.training.recipe import choose_preset, too_few_text
from dcgan.training.set_up import planned_images, set_up
from dcgan.training.step import train_step

MAX_CROPPED_ASPECT = 4 / 3
"""If the sides of half of the pictures differ more from those of the chosen size, cropping cuts off too much."""
MIN_STEPS_PER_EPOCH = 4
BLOBS_TEXT = (
    "few color pictures become blobs with fast: 300 color shapes at 48x48 were blobs after 60,000 images, and after "
    "300,000 a quarter were triangles, most others still blobs; of 1,492 emoji at 64x64, readers named 38% to 59% of "
    "the samples after 618,000"
)
"""What is known of `fast` on few color pictures: docs/results.md (A few hundred pictures), docs/experiments.md."""
MANY_TEXT = "what fast draws of so many color pictures was not measured"
MAX_COPIED_PICTURES = 300
COPIES_TEXT = (
    "a training on so few pictures may end early: of three sets with 185 to 299 pictures, the samples of two became "
    "copies, after 11,124 and 94,185 images"
)
"""What is known of `match` on up to `MAX_COPIED_PICTURES` pictures: docs/folders.md (Other sets)."""
WARM_UP_STEPS, TIMED_STEPS, MAX_TIMED_S = 2, 10, 10.0
"""Steps that are not timed, steps that are, and the time after which no further step is timed."""
MAX_MINUTES = 30
"""If the whole training of a preset takes longer, the recommended command has a duration."""
FIRST_MINUTES = 20
"""That duration, if no measurement says when good pictures are to be expected."""
MAX_LISTED = 10
"""Broken files and duplicates that are listed by name."""
MAX_LISTED_CLASSES = 12


def check_data(spec: str, sheet: Path | None = None, value_range: ValueRange | None = None) -> dict[str, Any]:
    """Examine a set of pictures and recommend settings for it.

    Args:
        spec: as for `--data`.
        sheet: where to write the contact sheet; by default `runs/NAME-contact.png`, because a picture beside those of
            the set would become one of them.
        value_range: as for `--value-range`.

    Returns:
        JSON types: see docs/data.md.

    Raises:
        UserError: the set cannot be used, or the sheet cannot be written.
    """
    check_not_empty(spec)
    is_given = sheet is not None
    sheet = expand_user(sheet) if sheet else Path(RUNS_FOLDER, f"{name_in_runs(spec)}{CONTACT_SHEET_SUFFIX}")
    if sheet.suffix.lower() != ".png" or sheet.is_dir():
        raise UserError(f"cannot write the contact sheet {printable(str(sheet))}: give the name of a .png")
    folders = [expand_user(part) for part in split_specs(spec) if not is_named_set(part)]
    if is_given and any(_is_below(sheet, folder) for folder in folders):
        raise UserError(
            f"the contact sheet {printable(str(sheet))} would become a picture of the set: give another --out"
        )
    images = open_images(spec, "all", value_range=value_range)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    size = (images.pixels.shape[2], images.pixels.shape[3])
    parts = {split: open_images(spec, split, value_range=value_range) for split in ("train", "validation", "test")}
    preset, reason = choose_preset(parts["train"])
    settings, reasons = recommend_settings(preset, reason, images.columns.get("sizes"), size, len(parts["train"]))
    if images.value_range is not None and value_range is not None:
        settings["value_range"] = value_range
    config = configure(data=spec, **settings)
    cost = measure_cost(config)
    content = check.examine_set(images, list_file_names(spec))
    save_png(check.make_contact_sheet(images), sheet)
    seconds_per_image = cost["seconds_per_step"] / config.batch_size
    minutes = recommend_minutes(config, cost["hours"], seconds_per_image)
    if minutes is not None:
        reasons.append(f"--minutes {minutes}: a first result before the whole training, see takes; Ctrl-C saves too")
    timed = config if minutes is None else replace(config, **NO_DURATION | {"minutes": minutes})
    advice = {
        "command": train_command(timed),
        "settings": settings,
        "reasons": reasons,
        **cost,
        "minutes": minutes,
        "expect": expect_pictures(config, parts["train"], seconds_per_image),
        "size": list(config.size or size),
    }
    return {
        "data": printable(spec),
        **content,
        "notices": list(images.notices),
        "no_classes_reason": images.no_classes_reason,
        "value_range": images.value_range,
        "parts": {split: len(part) for split, part in parts.items()},
        "contact_sheet": str(sheet),
        "advice": advice,
    }


def _is_below(path: Path, folder: Path) -> bool:
    """Return whether a path is in a folder, or deeper."""
    return folder.resolve() in path.resolve().parents


def recommend_settings(
    preset: str, reason: str, sizes: Any, size: tuple[int, int], picture_count: int
) -> tuple[dict[str, Any], list[str]]:
    """Return settings for a set of pictures, and the reason for each.

    Args:
        preset: the preset that suits the set, see `choose_preset`.
        reason: why.
        sizes: original heights and widths, (N, 2), or None if all are `size`.
        size: (height, width) that the pictures would have if the network could draw any.
        picture_count: how many pictures there are to train on.
    """
    import numpy as np  # only here, for the start-up time of the command line

    shown_size = str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
    settings: dict[str, Any] = {"preset": preset, "image_size": shown_size}
    reasons = [
        f"--preset {preset}, which dcgan train chooses by itself, because {reason}",
        f"--image-size {shown_size}: the networks are as deep as this size needs",
    ]
    if preset == DEFAULT_PRESET and picture_count < FEW_PICTURES:
        reasons.append(
            f"DiffAugment is switched on automatically: a discriminator memorizes as few as {picture_count:,} pictures"
        )
    if picture_count < MIN_STEPS_PER_EPOCH * PRESETS[preset].batch_size:
        quarter = picture_count // MIN_STEPS_PER_EPOCH
        settings["batch_size"] = max(2, 2 ** (quarter.bit_length() - 1)) if quarter >= 2 else 2
        reasons.append(f"--batch-size {settings['batch_size']}: at least four steps in an epoch")
    aspects = None if sizes is None else sizes[:, 0] / sizes[:, 1] * (size[1] / size[0])
    if aspects is not None and float(np.median(np.maximum(aspects, 1 / aspects))) > MAX_CROPPED_ASPECT:
        settings["fit"] = "pad"
        reasons.append("--fit pad: cropping would cut off a quarter or more of half of the pictures")
    return settings, reasons


def recommend_minutes(config: Config, hours: float, seconds_per_image: float) -> int | None:
    """Return how many minutes the recommended training takes; None for the whole training of the preset.

    Args:
        config: the settings that are recommended.
        hours: the duration of the whole training on this machine.
        seconds_per_image: the speed of the training on this machine.
    """
    minutes = FIRST_MINUTES
    if config.preset == COLOR_PRESET:
        minutes = max(1, math.ceil(BETTER_IMAGES * seconds_per_image / 60))
    return minutes if 60 * hours > max(MAX_MINUTES, minutes) else None


def expect_pictures(config: Config, data: ImageSet, seconds_per_image: float) -> dict[str, Any] | None:
    """Return what to expect of a training on color pictures and by when, as JSON types.

    None for sets that are opened by a name, and for gray pictures, unless they are too few.

    Args:
        config: the settings that are recommended.
        data: the pictures to train on.
        seconds_per_image: the speed of the training on this machine.
    """
    if is_named_set(config.data):
        return None
    warning = too_few_text(len(data)) if len(data) < TOO_FEW_PICTURES else ""
    if warning and config.preset != COLOR_PRESET:
        return {"text": warning}
    if data.pixels.shape[1] == 1:
        return None
    if config.preset != COLOR_PRESET:
        return {"text": BLOBS_TEXT if len(data) <= MAX_MATCHED_PICTURES else MANY_TEXT}
    if not warning and len(data) <= MAX_COPIED_PICTURES:
        warning = COPIES_TEXT
    first_s, second_s = (count * seconds_per_image for count in (RECOGNIZABLE_IMAGES, BETTER_IMAGES))
    text = (
        f"of {MEASURED_SET}, the only set whose samples readers have named, most could be named after "
        f"{RECOGNIZABLE_IMAGES:,} images, and were better after {BETTER_IMAGES:,}: {_duration_text(first_s)} and "
        f"{_duration_text(second_s)} at this speed; other pictures may need more"
    )
    return {
        "text": f"{warning}; {text}" if warning else text,
        "measured_on": MEASURED_SET,
        "recognizable": {"images": RECOGNIZABLE_IMAGES, "seconds": round(first_s), "kid_lite2": RECOGNIZABLE_KID},
        "better": {"images": BETTER_IMAGES, "seconds": round(second_s), "kid_lite2": BETTER_KID},
    }


@isolate_torch_settings()
@keep_freed_memory()
def measure_cost(config: Config) -> dict[str, Any]:
    """Measure the time and memory that training with these settings takes on this machine, from a few steps."""
    state = set_up(config)
    for _ in range(WARM_UP_STEPS):
        train_step(state)
    start, count = time.perf_counter(), 0
    while count < TIMED_STEPS and (count == 0 or time.perf_counter() - start < MAX_TIMED_S):
        train_step(state)
        count += 1
    if state.fabric.device.type == "cuda":
        import torch  # only here, for the start-up time of the command line

        torch.cuda.synchronize()
    seconds_per_step = (time.perf_counter() - start) / count
    images = planned_images(config, len(state.data)) or 0
    steps = config.steps or images / state.progress.images_seen * state.progress.step
    return {
        "seconds_per_step": round(seconds_per_step, 4),
        "steps": round(steps),
        "hours": round(steps * seconds_per_step / 3600, 2),
        "memory_mib": peak_memory_mib(state.fabric.device.type),
        "device": str(state.fabric.device),
    }


def peak_memory_mib(device: str) -> int | None:
    """Return the most memory that this process has used, on the GPU if it trains there; None if it is not known."""
    if device == "cuda":
        import torch  # only here, for the start-up time of the command line

        return int(torch.cuda.max_memory_allocated() >> 20)
    try:
        import resource
        import sys
    except ImportError:  # Windows has no module `resource`
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak >> (20 if sys.platform == "darwin" else 10))


def advice_text(content: Mapping[str, Any]) -> str:
    """Return what `check_data` found for people."""
    advice, parts = content["advice"], content["parts"]
    rows = [
        ("pictures", f"{content['pictures']:,}; to train {parts['train']:,}, held out: validation "
                     f"{parts['validation']:,}, test {parts['test']:,}"),
        ("classes", _classes_text(content["classes"], content["no_classes_reason"])),
        ("sizes", _sizes_text(content["sizes"])),
        ("kinds", ", ".join(f"{n:,} {mode}" for mode, n in content["modes"].items())),
        ("used as", f"{content['channels']} channel{'s' * (content['channels'] > 1)}, {_size_text(advice['size'])}"
                    f"{_other_size_text(content['sizes'], advice['size'])}"),
        ("broken", _list_text([f"{b['file']}: {b['reason']}" for b in content["broken"]], len(content["broken"]))),
        *(("note", notice) for notice in content["notices"]),
        ("twice", _list_text([" = ".join(pair) for pair in content["duplicate_pairs"]], content["duplicates"])),
        ("nearly", _list_text([" ~ ".join(p) for p in content["near_duplicate_pairs"]], content["near_duplicates"],
                              _compared_text(content))),
        ("sheet", content["contact_sheet"]),
        ("train", advice["command"]),
        *(("", reason) for reason in advice["reasons"]),
        ("takes", _cost_text(advice)),
        *([("expect", advice["expect"]["text"])] if advice["expect"] else []),
    ]  # fmt: skip
    return "\n".join([f"{content['data']}:", *(f"  {name:<9} {text}" for name, text in rows)])


def _size_text(size: list[int]) -> str:
    return "x".join(map(str, size))


def _sizes_text(sizes: Mapping[str, Any]) -> str:
    if sizes["smallest"] == sizes["largest"]:
        return str(sizes["smallest"])
    commonest = ", ".join(f"{n:,} of {size}" for size, n in sizes["commonest"].items())
    return f"{sizes['smallest']} to {sizes['largest']}; {commonest}"


def _other_size_text(sizes: Mapping[str, Any], size: list[int]) -> str:
    is_kept = sizes["smallest"] == sizes["largest"] == _size_text(size)
    return "" if is_kept else "; --image-size chooses another size"


def _classes_text(counts: Mapping[str, int], no_classes_reason: str) -> str:
    if not counts:
        return f"none: {no_classes_reason}" if no_classes_reason else "none"
    listed = ", ".join(f"{name} {n:,}" for name, n in list(counts.items())[:MAX_LISTED_CLASSES])
    return f"{len(counts):,}: {listed}{', …' * (len(counts) > MAX_LISTED_CLASSES)}"


def _compared_text(content: Mapping[str, Any]) -> str:
    """Return how many pictures were compared if these are not all."""
    return f" of {content['compared']:,} compared" if content["compared"] < content["pictures"] else ""


def _list_text(texts: list[str], count: int, compared: str = "") -> str:
    if not count:
        return f"none{compared}"
    more = [f"{'':<12}…"] * (count > MAX_LISTED)
    return "\n".join([f"{count:,}{compared}", *(f"{'':<12}{text}" for text in texts[:MAX_LISTED]), *more])


def _cost_text(advice: Mapping[str, Any]) -> str:
    memory_mib, milliseconds = advice["memory_mib"], 1000 * advice["seconds_per_step"]
    duration = _duration_text(3600 * advice["hours"])
    amount = f"{'all ' if advice['minutes'] else ''}{advice['steps']:,} steps"
    text = f"{duration} for {amount} of {milliseconds:.0f} ms on {advice['device']}"
    return text + (f", {memory_mib:,} MiB of memory" if memory_mib else "") + "; measured now on this machine"


def _duration_text(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    minutes = round(seconds / 60)
    return f"{minutes} minute{'s' * (minutes != 1)}" if minutes else "less than a minute"
