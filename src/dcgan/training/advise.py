"""`dcgan data check`: what is in a set, what to train on it and why, and what that takes on this machine."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcgan.config import FEW_PICTURES, Config
from dcgan.data import check
from dcgan.data.open import list_file_names, open_images
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import save_png
from dcgan.presets import DEFAULT_PRESET, PRESETS, configure, train_command
from dcgan.training.state import planned_images, set_up
from dcgan.training.step import train_step

LONG_SIDE = 4 / 3
"""Where half of the pictures are longer than this, cropping to a square cuts off too much."""
WARM_UP, MEASURED, SECONDS = 2, 10, 10.0
"""Steps that are not counted, steps that are, and after how long it is enough."""


def check_data(spec: str, sheet: Path | None = None) -> dict[str, Any]:
    """Examine a set of pictures and advise on it.

    Args:
        spec: as `--data`.
        sheet: where to write the contact sheet; by default `NAME-contact.png` here.

    Returns:
        JSON's own types: see docs/data.md.

    Raises:
        UserError: the set cannot be used, or the sheet cannot be written.
    """
    sheet = sheet or Path(f"{Path(spec).expanduser().absolute().stem}-contact.png")
    if sheet.suffix != ".png" or sheet.is_dir():
        raise UserError(f"cannot write the contact sheet {printable(str(sheet))}: give the name of a .png")
    images = open_images(spec, "all")
    size = (images.pixels.shape[2], images.pixels.shape[3])
    settings, reasons = recommend_settings(images.about.get("sizes"), size, len(images))
    config = configure(data=spec, **settings)
    cost = measure_cost(config)
    found = check.examine_set(images, list_file_names(spec))
    save_png(check.contact_sheet(images), sheet)
    parts = {part: len(open_images(spec, part)) for part in ("train", "validation", "test")}
    return {
        "data": printable(spec),
        **found,
        "parts": parts,
        "contact_sheet": str(sheet),
        "advice": {"command": train_command(config), "reasons": reasons, **cost, "size": list(config.size or size)},
    }


def recommend_settings(sizes: Any, size: tuple[int, int], n: int) -> tuple[dict[str, Any], list[str]]:
    """Settings for a set of `n` pictures, and why.

    Args:
        sizes: heights and widths as they came, (N, 2), or None if all are `size`.
        size: (height, width) that the pictures would have if the network could draw any.
        n: how many.
    """
    import numpy as np

    shown = str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
    settings: dict[str, Any] = {"preset": DEFAULT_PRESET, "image_size": shown}
    reasons = [
        f"--preset {DEFAULT_PRESET} --image-size {shown}: its networks are as deep as the pictures' size asks for"
    ]
    if n < FEW_PICTURES:
        reasons.append(f"DiffAugment is on by itself: {n:,} pictures are few, a discriminator learns them by heart")
    if n < 4 * PRESETS[DEFAULT_PRESET].batch_size:
        settings["batch_size"] = max(2, 2 ** ((n // 4).bit_length() - 1)) if n >= 8 else 2
        reasons.append(f"--batch-size {settings['batch_size']}: at least four steps in a pass over the data")
    if sizes is not None and float(np.median(sizes.max(axis=1) / sizes.min(axis=1))) > LONG_SIDE:
        settings["fit"] = "pad"
        reasons.append("--fit pad: half of the pictures are so long that cropping would cut off a quarter or more")
    return settings, reasons


def measure_cost(config: Config) -> dict[str, Any]:
    """Time and memory that training with these settings takes here, from a few steps of it."""
    state = set_up(config)
    for _ in range(WARM_UP):
        train_step(state)
    begin, done = time.perf_counter(), 0
    while done < MEASURED and (done == 0 or time.perf_counter() - begin < SECONDS):
        train_step(state)
        done += 1
    if state.fabric.device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    seconds = (time.perf_counter() - begin) / done
    images = planned_images(config, len(state.data)) or 0
    steps = config.steps or images / state.images_seen * state.step
    return {
        "seconds_per_step": round(seconds, 4),
        "steps": round(steps),
        "hours": round(steps * seconds / 3600, 2),
        "memory_mib": peak_memory(state.fabric.device.type),
        "device": str(state.fabric.device),
    }


def peak_memory(device: str) -> int | None:
    """MiB that this process has used at most, on the GPU if it trains there; None where the system does not say."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated() >> 20)
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak >> (20 if sys.platform == "darwin" else 10))


def advice_text(found: Mapping[str, Any]) -> str:
    """The findings for people."""
    advice, sizes, parts = found["advice"], found["sizes"], found["parts"]
    size = sizes["smallest"]
    if sizes["smallest"] != sizes["largest"]:
        common = ", ".join(f"{n:,} of {size}" for size, n in sizes["commonest"].items())
        size = f"{size} to {sizes['largest']}; {common}"
    rows = [
        ("pictures", f"{found['pictures']:,}; to train {parts['train']:,}, held out: validation "
                     f"{parts['validation']:,}, test {parts['test']:,}"),
        ("classes", _classes(found["classes"])),
        ("sizes", size),
        ("kinds", ", ".join(f"{n:,} {mode}" for mode, n in found["modes"].items())),
        ("used as", f"{found['channels']} channel{'s' * (found['channels'] > 1)}, {_x(advice['size'])}; the pictures "
                    f"themselves suit {_x(found['size'])}"),
        ("broken", _listed([f"{b['file']}: {b['reason']}" for b in found["broken"]], len(found["broken"]))),
        ("twice", _listed([" = ".join(pair) for pair in found["duplicate_pairs"]], found["duplicates"])),
        ("nearly", _listed([" ~ ".join(pair) for pair in found["near_duplicate_pairs"]], found["near_duplicates"])),
        ("sheet", found["contact_sheet"]),
        ("train", advice["command"]),
        *(("", reason) for reason in advice["reasons"]),
        ("takes", _cost(advice)),
    ]  # fmt: skip
    return "\n".join([f"{found['data']}:", *(f"  {name:<9} {text}" for name, text in rows)])


def _x(size: list[int]) -> str:
    return "x".join(map(str, size))


def _classes(counts: Mapping[str, int]) -> str:
    if not counts:
        return "none"
    shown = ", ".join(f"{name} {n:,}" for name, n in list(counts.items())[:12])
    return f"{len(counts):,}: {shown}{', …' * (len(counts) > 12)}"


def _listed(texts: list[str], count: int) -> str:
    if not count:
        return "none"
    return "\n".join([f"{count:,}", *(f"{'':<12}{text}" for text in texts[:10]), *([f"{'':<12}…"] * (count > 10))])


def _cost(advice: Mapping[str, Any]) -> str:
    hours, memory = advice["hours"], advice["memory_mib"]
    length = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    text = f"{length} for {advice['steps']:,} steps of {1000 * advice['seconds_per_step']:.0f} ms on {advice['device']}"
    return text + (f", {memory:,} MiB of memory" if memory else "") + "; measured here, now"
