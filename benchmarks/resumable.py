"""Training in a benchmark that may be interrupted: it goes on from its last checkpoint."""

import platform
import time
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.time_to_quality import read_results
from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.training.checkpoint import collect_tensors, read_checkpoint, restore_tensors, save_checkpoint
from dcgan.training.recipe import choose_recipe
from dcgan.training.set_up import set_up
from dcgan.training.state import State, fixed_settings
from dcgan.training.step import train_step

CHECKPOINT_SECONDS = 300


def plan(seconds: int, seed: int, **settings: object) -> Config:
    """Return the settings of a run on MNIST of as many images as `fast` sees in that time on a quiet machine.

    A long run has larger batches, with which the machine sees a tenth to a quarter more images; they are not counted.
    """
    speed = read_results()["speed"]
    steps = round((seconds - speed["fast_seconds_before"]) / speed["fast_seconds_a_step"])
    images = steps * speed["fast_batch"]
    return choose_recipe({"seed": seed, "images": images, "device": "cpu", **settings}).config


def start(config: Config, checkpoint: Path) -> State:
    """Return the state of a run: that of its checkpoint, if there is one.

    Raises:
        UserError: the checkpoint is of a run with other settings.
    """
    state = set_up(config)
    if checkpoint.exists():
        record = read_checkpoint(checkpoint)
        if record.settings != fixed_settings(state.config):
            raise UserError(f"{checkpoint} is of a run with other settings: name another folder for the checkpoints")
        restore_tensors(checkpoint, state.saved_parts())
        state.progress = record.progress()
    return state


def train_until(state: State, images: int, checkpoint: Path, description: str) -> None:
    """Train until so many images were seen. The checkpoint is at most five minutes older than the state.

    The groups are not in it: they are chosen alike each time.
    """
    bar = tqdm(total=images, initial=state.progress.images_seen, desc=description, mininterval=10)
    saved_at = time.monotonic()
    while state.progress.images_seen < images:
        train_step(state)
        bar.update(state.progress.images_seen - bar.n)
        if time.monotonic() > saved_at + CHECKPOINT_SECONDS:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(checkpoint, collect_tensors(state.saved_parts()), state.checkpoint_record(0, {}))
            saved_at = time.monotonic()


def describe_arithmetic() -> dict[str, str | int]:
    """Return what the results depend on beside the settings."""
    return {
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
