"""Every setting, in one place: the command line's flags, a run's `config.json` and the arguments of `dcgan.train`.

Objectives, network families, augmentations and presets are named by text. Their names are looked up where they are
defined (`training/losses.py`, `models/families.py`, `training/augment.py`, `presets.py`), so that a new one is an entry
in one file.
"""

import numbers
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from dcgan.cache import expand_user
from dcgan.errors import UserError
from dcgan.files import read_json

Norm = Literal["batch", "instance", "layer", "none", "spectral"]
Fit = Literal["crop", "pad", "stretch"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32", "bf16"]
ScoreKind = Literal["probability", "relative", "raw", "none"]
"""What the discriminator's scores in the metrics log are: probabilities of "real", values that mean something only in
comparison with each other, or a critic's values. Without a discriminator there are none."""
DURATIONS = ("steps", "images", "epochs", "minutes")
"""The settings that say how long to train. At most one of them is given."""
NO_DURATION: dict[str, Any] = dict.fromkeys(DURATIONS)
MAX_DURATION = 10**12
FEW_PICTURES = 10_000
"""A discriminator memorizes a set of fewer pictures than this (Zhao et al. 2020 see it on sets of 100 to 5,000)."""
TOO_FEW_PICTURES = 100
"""With fewer pictures than this, samples are expected to be copies of them. Smaller sets were not measured."""
MIN_SIDE, MAX_SIDE = 16, 256
"""Pixels of a side of the pictures that are trained on."""
MAX_SIZE = 65_536
"""The largest latent, width and batch."""
JOIN_PREFIX = "join:"
"""What the text of several image sets begins with: `join:cats 'my dogs'`, with the specs as words of a shell.

A folder of such a name is written `./join:...`.
"""


@dataclass(frozen=True)
class Config:
    """All settings of a run. A preset is an instance of this class; a flag or an argument replaces one field."""

    preset: str = "dcgan"
    """The preset to start from: one of the list above, or the path of a run's config.json. Without it, `dcgan train`
    chooses by the data: `match` for 20 to 20,000 color pictures to train on, if it takes the other flags, otherwise
    `fast`. The defaults below are those of the preset, or of `fast` without one; without one, a run of 400,000
    images and more has others, see docs/presets.md."""
    data: str = "mnist"
    """The pictures to train on: `mnist` or `stacked-mnist`, a name of torchvision's such as `fashion-mnist`, a folder
    of pictures, of .parquet or .tar shards or of IDX files, a .zip, .tar, .parquet, .npz or .npy, or `hf:USER/NAME` of
    Hugging Face's Hub. Several sets are joined: --data A --data B. See docs/data.md."""
    image_size: int | str | None = 28
    """Size of the pictures in pixels, 16 to 256: one number, or HEIGHTxWIDTH. Pictures of another size are resized.
    Without it, pictures that all have one size up to 64x64 keep it; others become squares of 16, 32 or 64."""
    channels: int | None = None
    """1 is gray, 3 is RGB, 4 is RGBA. Without it, the fewest channels that lose nothing of the data are used."""
    fit: Fit = "crop"
    """How a picture of another aspect ratio is brought to that size: `crop` its middle, `pad` it, or `stretch` it."""
    value_range: tuple[float, float] | None = None
    """The values that become black and white in pictures of 16 or 32 bits or of floats. Without it they follow from
    all pictures of the set, which is said. Pictures of 8 bits do not change."""
    split_data: bool = False
    """For a set that one machine cannot hold: each process of --devices prepares and holds its own part of the .tar or
    .parquet files of a folder. The order of the pictures then depends on the number of processes, so a run can only be
    resumed with as many. See docs/scaling.md."""
    augment: str = "none"
    """How pictures are augmented before the discriminator sees them: `none`, or augmentations of the list above, joined
    by `+`. `auto` uses `diffaugment` if there are fewer than 10,000 pictures."""
    conditional: bool = False
    """Use the labels: the generator then draws the class that it is given. During training the discriminator is given
    the class too, or with --groups the group within the class."""
    mismatch: float = 0.0
    """With --conditional: the share of the discriminator's loss on fakes that comes from real pictures given with a
    wrong class, from 0 (off) to below 1. The generator then draws the requested class more reliably, with slightly less
    variety."""
    groups: int = 0
    """Sort the pictures into this many groups of similar pictures (k-means) and give both networks the group as if it
    were a class; the trained generator chooses the group from z. No labels are needed; with --conditional each class is
    sorted into its share of the groups. Fewer groups are made if there are fewer than 100 pictures a group, and never
    more than two thirds of --z-dim. See docs/presets.md."""
    network: str = "dcgan"
    """The family of generator and discriminator, one of the list above. `dcgan` is the study's 28x28; the others draw
    any size."""
    init: str | None = None
    """A saved model (a run folder, or a name such as mnist) from which the generator takes its initial weights. The
    discriminator starts from random weights."""
    z_dim: int = 64
    """Length of the latent vector z from which a picture is drawn."""
    g_width: int = 64
    """Channels before the generator's last layer (the study's `hidden_dim`); for `mlp`, units of its first layer."""
    d_width: int = 16
    """Channels after the discriminator's first layer (the study's `hidden_dim`); for `mlp`, units of its last layer."""
    g_norm: Norm = "batch"
    """Normalisation of the generator's layers."""
    d_norm: Norm = "batch"
    """Normalisation of the discriminator's layers. `batch` makes a score depend on the whole batch, so it cannot be
    used with --gp, --r1 or --r2."""
    loss: str = "non-saturating"
    """The objective of the two networks, one of the list above. With minimax and least-squares, the discriminator of
    fast has no BatchNorm: d_norm none, clip 2."""
    label_smoothing: float = 0.0
    """The discriminator's target for a real picture is 1 minus this; only for objectives whose scores are logits."""
    gp: float = 0.0
    """Weight of the gradient penalty of WGAN-GP; 10 in the paper."""
    r1: float = 0.0
    """Weight of the R1 penalty: half the squared gradient of the score with respect to real pictures."""
    r2: float = 0.0
    """Weight of the R2 penalty: the same for generated pictures."""
    penalty_every: int = 1
    """Steps between two updates with R1 and R2, which then weigh as many times more and cost as many times less time
    ("lazy regularization", Karras et al. 2020)."""
    n_critic: int = 1
    """Discriminator updates for each generator update."""
    share_z: bool = False
    """Use the discriminator's last batch of fakes (and of reals, if the objective pairs them) for the generator's
    update too, which saves one forward pass of the generator a step. The study draws fresh latents, as the default
    does."""
    batch_size: int = 128
    """Real pictures in one discriminator update, over all devices. The last, shorter batch of an epoch is used too."""
    lr: float = 2e-4
    """Learning rate of Adam."""
    d_lr: float | None = None
    """Learning rate of the discriminator; without it, --lr is used for both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    clip: float = 0.0
    """A network's gradient is shortened to this many times its usual length, as Adam's moments remember it, if it is
    longer; 0 is off. For objectives whose gradients have sudden peaks."""
    burn_in: int = 0
    """Number of images over which, along a cosine, the weights of R1 and R2 fall from ten times to their own value,
    Adam's second beta rises from 0.9 and the half-life of the averaged generator rises from 0. The learning rates rise
    from 0 over the first tenth of it."""
    lr_end: float = 1.0
    """Fraction of the learning rates that is left at the planned end, to which they fall along a cosine; 1 keeps them
    constant. A run that is extended continues with what is left."""
    ema: int = 20_000
    """Half-life of the averaged generator (EMA) in images; 0 saves the generator without averaging."""
    steps: int | None = None
    """Train for this many steps (generator updates). Give at most one duration; without any, the preset's is used."""
    images: int | None = None
    """Train until the discriminator has seen this many real images."""
    epochs: float | None = None
    """Train for this many passes over the data."""
    minutes: float | None = None
    """Train for this many minutes. The number of images is fixed once the speed has been measured. The time to compile
    the networks does not count."""
    evaluate_every: int = 0
    """Steps between two evaluations of the averaged generator on the validation part; 0 is never. The model that is
    kept is then the best one, not the last one. The time for it does not count as training time."""
    patience: int = 0
    """Stop when this many evaluations in a row were not better than the best one; 0 continues to the planned end."""
    seed: int = 0
    """All random numbers of a run follow from this number."""
    device: Device = "auto"
    """Where to train. `auto` uses CUDA or MPS if there is one."""
    devices: int = 1
    """Number of devices of this machine to train on, with a process for each. Under torchrun or srun their own numbers
    are used."""
    num_nodes: int = 1
    """Number of machines. More than one needs a launcher: see docs/scaling.md."""
    precision: Precision = "32"
    """Arithmetic: `32` bits, or `bf16` mixed precision."""
    compile: bool = False
    """Compile the networks with torch.compile, for long runs on a GPU: it takes a minute at the start. A discriminator
    with --gp, --r1 or --r2 is not compiled, because compiled networks have no second derivative. On CPUs it was slower
    (docs/experiments.md)."""
    logger: tuple[str, ...] = ()
    """Also log to a tool of the list above, repeatable: metrics.jsonl is written in any case. See docs/logging.md."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two snapshots: the grid of samples, the model and the checkpoint."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, naming the flag."""
        object.__setattr__(self, "device", _device_name(self.device))
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        object.__setattr__(self, "image_size", _canonical_size(self.image_size))
        object.__setattr__(self, "logger", tuple(dict.fromkeys(self.logger)))
        _check(self.channels in (None, 1, 3, 4), "channels", self.channels, "must be 1, 3 or 4")
        for name in ("z_dim", "g_width", "d_width", "batch_size"):
            _check(0 < getattr(self, name) <= MAX_SIZE, name, getattr(self, name), f"must be from 1 to {MAX_SIZE}")
        for name in ("n_critic", "penalty_every", "lr", "log_every", "save_every", "devices", "num_nodes"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "must be above 0")
        _check(self.d_lr is None or self.d_lr > 0, "d_lr", self.d_lr, "must be above 0")
        for name in ("groups", "gp", "r1", "r2", "clip", "burn_in", "evaluate_every", "patience", "ema"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "must be 0 (off) or above")
        _check(0 < self.lr_end <= 1, "lr_end", self.lr_end, "must be above 0 and at most 1")
        for name in ("label_smoothing", "mismatch"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "must be from 0 to below 1")
        for name in DURATIONS:
            value = getattr(self, name)
            _check(value is None or 0 < value <= MAX_DURATION, name, value, "must be above 0 and at most 10^12")
        _check(0 <= self.seed < 2**63, "seed", self.seed, "must be from 0 to 2^63 - 1")
        if self.value_range is not None:
            object.__setattr__(self, "value_range", tuple(map(float, self.value_range)))
            check_value_range(*self.value_range)
        _check(all(0 <= b < 1 for b in self.betas), "betas", self.betas, "must be two numbers, each from 0 to below 1")
        if self.patience and not self.evaluate_every:
            raise UserError("--patience counts evaluations: give --evaluate-every too")
        if self.penalty_every > 1 and not (self.r1 or self.r2):
            raise UserError("--penalty-every says how often R1 and R2 are added: give --r1 or --r2 too")
        given = [f"--{name}" for name in DURATIONS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} all say how long to train: give one of them")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the pictures; None if the data decides."""
        return None if self.image_size is None else _sides(self.image_size)


def join_specs(specs: Sequence[str]) -> str:
    """Return the text that names all the sets, from which `split_specs` makes the same specs.

    Args:
        specs: one or more; some may name several sets themselves.
    """
    single = [spec for text in specs for spec in split_specs(text)]
    return single[0] if len(single) == 1 else JOIN_PREFIX + shlex.join(single)


def split_specs(data: str) -> tuple[str, ...]:
    """Return the specs that a text names; one that names a single set is its own spec.

    Raises:
        UserError: the text begins with `join:`, and what follows are not two or more specs.
    """
    if not is_joined(data):
        return (data,)
    try:
        specs = tuple(shlex.split(data.removeprefix(JOIN_PREFIX)))
    except ValueError as error:
        raise UserError(
            f"{data!r} cannot be split into specs ({str(error).lower()}): give --data for each set"
        ) from None
    if len(specs) < 2 or any(map(is_joined, specs)):
        raise UserError(f"{data!r} must name two or more sets after {JOIN_PREFIX}: give --data for each set")
    return specs


def is_joined(data: str) -> bool:
    """Return whether a text names several sets."""
    return data.startswith(JOIN_PREFIX)


def short_name(data: str) -> str:
    """Return a name for files that belong to the data: that of its folder or file without a suffix, `cats-my dogs`."""
    return "-".join(expand_user(spec).absolute().stem for spec in split_specs(data))


def read_config(path: Path) -> Config:
    """Read the settings of a run from its `config.json`."""
    return config_from_json(read_json(path).get("settings"), path)


def config_from_json(settings: object, path: Path) -> Config:
    """Build a Config from the parsed `settings` of the file at `path`.

    Raises:
        UserError: they are no settings, name an unknown one, or hold a value that cannot work.
    """
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings of a run")
    unknown = [str(name) for name in settings if name not in Config.__dataclass_fields__]
    if unknown:
        raise UserError(f"{path} names a setting that this version does not know: {unknown[0]!r}")
    values = {name: plain_value(value) for name, value in settings.items()}
    try:
        return Config(**values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def config_to_json(config: Config) -> dict[str, Any]:
    """Return the settings as JSON types, from which `config_from_json` makes an equal Config."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}


def plain_value(value: Any) -> Any:
    """Return a setting as a built-in Python type: numpy's numbers become numbers, JSON's lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(plain_value(v) for v in value)
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def check_value_range(low: float, high: float) -> None:
    """Refuse a range of values that cannot become black to white.

    Raises:
        UserError: `low` is not below `high`, or one of them is not finite.
    """
    is_valid = low < high and isfinite(low) and isfinite(high)
    _check(is_valid, "value_range", f"{low:g} {high:g}", "must be two finite numbers LOW HIGH with LOW below HIGH")


def _device_name(device: object) -> object:
    """Return the name of a `torch.device`, which callers in Python may have; anything else as it is.

    It is known by the name of its class, so that the settings need no torch.
    """
    is_device = f"{type(device).__module__}.{type(device).__name__}" == "torch.device"
    return str(device) if is_device else device


def _sides(size: int | str) -> tuple[int, int]:
    """Return (height, width): `64` -> (64, 64), `48x64` -> (48, 64)."""
    height, _, width = str(size).partition("x")
    return int(height), int(width or height)


def _canonical_size(size: int | str | None) -> int | str | None:
    """Return a square as a number and any other size as text, so that equal sizes are written alike."""
    if size is None:
        return None
    is_valid = re.fullmatch(r"\d{1,3}(x\d{1,3})?", str(size)) is not None
    is_valid = is_valid and all(MIN_SIDE <= side <= MAX_SIDE for side in _sides(size))
    _check(is_valid, "image_size", size, f"must be N or HEIGHTxWIDTH, each from {MIN_SIDE} to {MAX_SIDE}")
    height, width = _sides(size)
    return height if height == width else f"{height}x{width}"


def _check(is_valid: bool, name: str, value: object, rule: str) -> None:
    if not is_valid:
        raise UserError(f"--{name.replace('_', '-')} {rule}, not {value}")


def _check_type(name: str, value: object, annotation: Any) -> None:
    """Compare a value with the annotation of its field: JSON files and Python callers can pass anything."""
    shown = repr(value)  # with the quotes of a text, which tell '5' from 5
    if annotation == _NAMES:
        is_valid = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
        _check(is_valid, name, shown, "must be a list of names")
    elif get_origin(annotation) is Literal:
        _check(value in get_args(annotation), name, shown, f"must be one of {', '.join(get_args(annotation))}")
    elif _PAIR in (annotation, *get_args(annotation)) and (value is not None or annotation == _PAIR):
        is_pair = isinstance(value, tuple) and len(value) == 2 and all(_has_type(v, float) for v in value)
        _check(is_pair, name, shown, "must be two numbers")
    else:
        types = [t for t in get_args(annotation) or (annotation,) if t != _PAIR]
        is_valid = any(_has_type(value, t) for t in types)
        _check(is_valid, name, shown, f"must be {' or '.join(_TYPE_NAMES[t] for t in types)}")


_PAIR, _NAMES = tuple[float, float], tuple[str, ...]
_TYPE_NAMES: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"} | {
    type(None): "nothing"
}


def _has_type(value: object, wanted: type) -> bool:
    if wanted is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and abs(cast(float, value)) <= sys.float_info.max
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)
