"""One run of a comparison: trained in parts, measured after each of them, evaluated at the end.

The parts end at the same fractions of the work for every preset. A part that is done is never done again.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TextIO, cast

import torch
from tqdm import tqdm

from dcgan.comparison.plan import Plan
from dcgan.data.open import open_images
from dcgan.devices.processes import TrainingStopped
from dcgan.errors import UserError
from dcgan.evaluation.measure import default_features, evaluate
from dcgan.files import FORMAT_VERSION, atomic_file, read_json
from dcgan.metrics import fidelity
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.fidelity import GaussianStatistics
from dcgan.metrics.reference import MAX_REFERENCE, extract_reference
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.sampling.model import load
from dcgan.training import checkpoint
from dcgan.training.recovery import MOST_IN_A_ROW
from dcgan.training.start import resume, train_config
from dcgan.training.state import COUNTERS

PART_COUNT = 6
"""Moments of a run that are measured: enough for a curve, and for grids side by side."""
PROBED = 5_000
"""Samples of such a measurement, of a seed that no evaluation uses."""
PROBE_SEED = 2**32
LINES = 5
"""Log lines whose mean is the loss at that moment."""
PARTS_FILE = "parts.json"


def comparison_run(out: Path, preset: str, seed: int) -> RunFolder:
    """Where a run of a comparison lies."""
    return RunFolder(out / f"{preset}-{seed}")


def read_parts(folder: RunFolder) -> tuple[list[LogEntry], str]:
    """What was measured after each part that is done, and why the run failed, if it did."""
    if not (folder.path / PARTS_FILE).exists():
        return [], ""
    found = read_json(folder.path / PARTS_FILE)
    parts, failed = found.get("parts"), found.get("failed")
    if not isinstance(parts, list) or not isinstance(failed, str):
        raise UserError(f"{folder.path / PARTS_FILE} is damaged: remove {folder.path} to train this run anew")
    return parts, failed


def train_part(plan: Plan, out: Path, preset: str, seed: int, part: int, bar: "tqdm[Any]", done: int) -> None:
    """Train a run to the end of a part and measure it, unless that is done.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the run was saved.
    """
    folder = comparison_run(out, preset, seed)
    parts, failed = read_parts(folder)
    if failed or len(parts) >= part:
        return
    bar.set_postfix_str(folder.path.name)
    amount = plan.amount * part / PART_COUNT
    try:
        with _quiet(bar, done, part):
            _train(plan, folder, preset, seed, amount)
    except TrainingStopped as stop:
        again = KeyboardInterrupt("stopped and saved; the same command again goes on")
        again.status = stop.status  # type: ignore[attr-defined]
        raise again from None
    except UserError as error:
        if not has_diverged(folder):
            raise
        write_parts(folder, parts, str(error))
        return
    write_parts(folder, [*parts, probe_run(plan.data, folder)], "")


def _train(plan: Plan, folder: RunFolder, preset: str, seed: int, amount: float) -> None:
    """Bring a run to that length, from wherever it is."""
    config = plan.config(preset, seed, amount)
    if not folder.checkpoint.is_dir():
        train_config(config, folder.path)
        return
    length = getattr(config, plan.unit)
    if getattr(folder.config(), plan.unit) != length:
        resume(folder.path, **{plan.unit: length})
    elif not _is_finished(folder):
        resume(folder.path)


def _is_finished(folder: RunFolder) -> bool:
    saved = checkpoint.read_checkpoint(folder.checkpoint, COUNTERS)
    return saved["planned"] is not None and saved["images_seen"] >= saved["planned"]


def has_diverged(folder: RunFolder) -> bool:
    """Whether its numbers stopped being finite for good: a result of the recipe, not a mistake of the user's."""
    events = [event for event in folder.log.events() if event["event"] == "recovery"]
    return bool(events) and events[-1].get("in_a_row") == MOST_IN_A_ROW


def write_parts(folder: RunFolder, parts: list[LogEntry], failed: str) -> None:
    """Write what `parts_of` reads."""
    content = {"format_version": FORMAT_VERSION, "parts": parts, "failed": failed}
    with atomic_file(folder.path / PARTS_FILE) as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def probe_run(data: str, folder: RunFolder) -> LogEntry:
    """A run at this moment: its losses, and how far its samples are from the test pictures.

    Nothing is chosen by it, so that the test part may be looked at.
    """
    lines = list(folder.log.measurements())
    last = lines[-1]
    found = {name: last[name] for name in ("step", "images_seen", "seconds")}
    for name in ("loss_d", "loss_g", "d_real", "d_fake"):
        recent = [float(line[name]) for line in lines[-LINES:]]
        found[name] = sum(recent) / len(recent)
    model = load(folder)
    features, real = _eyes(data, model.generator.picture_shape)
    seen, scores = features.see(torch.from_numpy(model.sample(PROBED, PROBE_SEED)).permute(0, 3, 1, 2))
    found["frechet_inception_distance"] = fidelity.frechet_distance(fidelity.gaussian_statistics(seen), real)
    if scores is not None and not features.stacked:
        found["certainty"] = float(scores.softmax(1).amax(1).mean())
    return found


@cache
def _eyes(data: str, shape: tuple[int, int, int]) -> tuple[FeatureExtractor, GaussianStatistics]:
    """The default features, and what they make of the test part."""
    features = open_extractor(default_features(data, shape), stacked=data == "stacked-mnist")
    channels, height, width = shape
    images = open_images(data, "test", size=(height, width), channels=channels)
    return features, fidelity.gaussian_statistics(
        extract_reference(images, "test", features, MAX_REFERENCE, lambda count: None).features
    )


def evaluate_run(plan: Plan, out: Path, preset: str, seed: int) -> None:
    """Evaluate a run that is trained, unless that is done. The figures lie in the run."""
    folder = comparison_run(out, preset, seed)
    parts, failed = read_parts(folder)
    if failed:
        return
    path = folder.evaluation / "figures.json"
    if path.exists() and read_json(path).get("step") == parts[-1]["step"] and read_json(path).get("n") == plan.n:
        return
    with contextlib.redirect_stderr(cast(TextIO, _Sink(lambda text: None))):
        evaluate(folder.path, n=plan.n, keep=True)


class _Sink:
    """A stream that shows nothing, but tells what is written to it."""

    def __init__(self, told: Any) -> None:
        self.told = told

    def write(self, text: str) -> int:
        self.told(text)
        return len(text)

    def flush(self) -> None:
        pass


@contextlib.contextmanager
def _quiet(bar: "tqdm[Any]", done: int, part: int) -> Iterator[None]:
    """Turn the bar of one training into a piece of the bar over all."""

    def told(text: str) -> None:
        if found := re.search(r"(\d+)%\|", text):
            bar.n = done + int(found[1]) / 100 * part / PART_COUNT
            bar.refresh()

    with contextlib.redirect_stderr(cast(TextIO, _Sink(told))):
        yield
