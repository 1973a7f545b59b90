"""The data that a model was trained on: where they are now, and whether they are still the same pictures."""

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcgan.config import Config, split_specs
from dcgan.data.location import describe_missing, find_places, is_path
from dcgan.data.open import ImageSet, open_images
from dcgan.data.parts import WHOLE, Part
from dcgan.data.rules import RULES_OF_0_1
from dcgan.data.value_range import ValueRange, value_range_of
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.run.folder import DataRecord, RunFolder
from dcgan.sampling.model import Model


@dataclass(frozen=True)
class TrainingData:
    """What a model, and the run that it is in, know of the data that it was trained on.

    Attributes:
        name: as the settings of the training name them.
        pictures_key: key of the pictures; None if it was not saved, as in version 0.1.0.
        value_range: the values that became black and white in pictures of more than 8 bits.
        rules: by which the data were read, see `dcgan.data.rules`.
        record: what the checkpoint of the run knows.
        config: the settings of the run; None if the model is in no run.
        part: the part of the data that the first process held, if they were divided: no process trained on what that
            part holds out.
        features: those that it was trained to match, by their name in `metrics.features`; None without.
        seed: of the training, which drew its stacked digits; None if it is not known.
    """

    name: str
    pictures_key: str | None
    value_range: ValueRange | None
    rules: int
    record: DataRecord
    config: Config | None
    features: str | None = None
    part: Part = WHOLE
    seed: int | None = None

    def has_other_pictures(self, images: ImageSet, source: str) -> bool:
        """Return whether an image set, opened by `source`, has other pictures, if that is known."""
        if self.pictures_key is not None:
            return bool(images.pictures_key) and images.pictures_key != self.pictures_key
        if self.config is None or self.record.key is None:
            return False
        config = self.config  # version 0.1.0 saved a key of the pictures as they were prepared for the training
        key = open_images(
            source,
            size=config.size,
            channels=config.channels,
            fit=config.fit,
            seed=config.seed,
            value_range=config.value_range,
            rules=self.rules,
        ).content_key
        return key != self.record.key


def training_data_of(model: Model) -> TrainingData | None:
    """Return what is known of the data that a model was trained on; None if nothing is known."""
    trained = model.trained
    if not trained.get("data"):
        return None
    names = ("data_key", "data_rules", "features", "data_parts")
    key, rules, features, parts = (trained.get(name) for name in names)
    record, config = _read_run(Path(model.source))
    return TrainingData(
        str(trained["data"]),
        key if isinstance(key, str) else None,
        value_range_of(trained),
        rules if isinstance(rules, int) else RULES_OF_0_1,
        record,
        config,
        features if isinstance(features, str) else None,
        (0, parts) if isinstance(parts, int) else WHOLE,
        _seed_of_command(trained.get("command")) if config is None else config.seed,
    )


def _seed_of_command(command: object) -> int | None:
    """Return the seed of the command that a model says it was trained by; None if it says none."""
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return None
    if "--seed" not in words:  # the command names what differs from the defaults
        return Config.seed if words else None
    number = words[words.index("--seed") + 1 :][:1]
    return int(number[0]) if number and number[0].isdecimal() else None


def depends_on_seed(data: str) -> bool:
    """Return whether the pictures of a set are drawn by the seed of the training: stacked digits, alone or joined."""
    return "stacked-mnist" in split_specs(data)


def _read_run(source: Path) -> tuple[DataRecord, Config | None]:
    """Return what the run knows that `source` is, or that it is the model of."""
    for folder in (source, source.parent):
        with contextlib.suppress(UserError):
            run = RunFolder(folder)
            if (record := run.data_record()).key is not None:
                return record, run.config()
    return DataRecord(), None


def open_training_data(
    training: TrainingData, model_name: str, open_at: Callable[[str], ImageSet]
) -> tuple[str, ImageSet]:
    """Return where the data of a model are, and the images that `open_at` opens there.

    Raises:
        UserError: they are not there, or are other pictures than those that the model was trained on.
    """
    if not is_path(training.name):
        return training.name, open_at(training.name)
    places, existing = find_places(training.record.path, training.name)
    if not existing:
        raise UserError(
            f"there is no data {describe_missing(places)}, which {printable(model_name)} was trained on: give "
            "--data if it has moved"
        )
    for place in existing:
        try:
            images = open_at(place)
        except UserError:
            if place == existing[-1]:
                raise
            continue
        if not training.has_other_pictures(images, place):
            return place, images
    raise UserError(
        f"{' and '.join(map(printable, existing))} holds other pictures than those that {printable(model_name)} was "
        "trained on: give --data"
    )
