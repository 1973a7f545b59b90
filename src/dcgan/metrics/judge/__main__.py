"""The command `python -m dcgan.metrics.judge`: train a judge of any labeled pictures."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from dcgan.cache import expand_user
from dcgan.data.open import ImageSet, open_images
from dcgan.data.splits import split_words
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.metrics.judge.network import check_judge_output, measure_accuracy, save_judge
from dcgan.metrics.judge.training import EPOCHS, train_judge
from dcgan.system.console import BROKEN_PIPE_STATUS, OutputError, prepare_streams, print_message, write_output
from dcgan.system.resources import explain_out_of_memory
from dcgan.system.torch_settings import isolate_torch_settings


@dataclass(frozen=True)
class TrainJudge:
    """Train a judge of any labeled pictures, save it, and print how many of the held-out pictures it recognizes."""

    data: str = "mnist"
    """The pictures, as for `dcgan train --data`; they must have labels."""
    out: Path = Path("judge")
    """The folder to write: a new or empty one, or one that holds a judge, which is replaced."""
    seed: int = 0
    """Seed of the weights, the order and the jitter."""
    epochs: int = EPOCHS
    """Passes over the training split."""

    @isolate_torch_settings()
    def __call__(self) -> dict[str, Any]:
        out = expand_user(self.out)
        check_judge_output(out)
        (train, train_labels), (test, test_labels) = (_open_labeled(self.data, split) for split in ("train", "test"))
        judge = train_judge(train.pixels, train_labels, len(train.classes), seed=self.seed, epochs=self.epochs)
        origin = {
            "data": printable(self.data),
            "names": list(train.classes),
            "accuracy": measure_accuracy(judge, test.pixels, test_labels),
            "train_pictures": len(train),
            "test_pictures": len(test),
            "seed": self.seed,
            "epochs": self.epochs,
            "command": self.command(),
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
        }
        save_judge(judge, out, origin)
        return origin

    def command(self) -> str:
        """Return the command line that makes this judge again."""
        epochs_flag = f" --epochs {self.epochs}" if self.epochs != EPOCHS else ""
        data = printable(self.data)
        return f"python -m dcgan.metrics.judge --data {data} --out DIR --seed {self.seed}{epochs_flag}"


def _open_labeled(data: str, split: str) -> tuple[ImageSet, Tensor]:
    images = open_images(data, split)
    if images.labels is None or len(images.classes) < 2 or not len(images):
        raise UserError(f"{printable(data)} has no labels in {split_words(split)}: a judge learns from classes")
    return images, images.labels


def main() -> None:
    """Read the flags, train the judge, and print one JSON object; a user's mistake is one line and exit status 2."""
    prepare_streams()
    try:
        with write_output():  # tyro prints the help
            command = tyro.cli(TrainJudge, prog="python -m dcgan.metrics.judge")
        with explain_out_of_memory("end other programs, or take smaller pictures"):
            origin = command()
        with write_output():
            print(json.dumps({name: value for name, value in origin.items() if name != "names"}))
    except OutputError as error:
        if error.is_broken_pipe:
            sys.exit(BROKEN_PIPE_STATUS)
        print_message(f"judge: {error}")
        sys.exit(2)
    except UserError as error:
        print_message(f"judge: {error}")
        sys.exit(2)
    except OSError as error:
        print_message(f"judge: {error.filename or 'a file'}: {error.strerror or error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
