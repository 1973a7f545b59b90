"""Every setting, once: the command line's flags, a run's `config.json` and the Python arguments are all this class."""

import numbers
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from dcgan.errors import UserError
from dcgan.files import read_json

Loss = Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"]
Network = Literal["mlp", "dcgan", "dcgan64", "resnet"]
Norm = Literal["batch", "instance", "layer", "none", "spectral"]
Fit = Literal["crop", "pad", "stretch"]
Augment = Literal["none", "auto", "flip", "diffaugment", "flip+diffaugment"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32", "bf16"]
DURATIONS = ("steps", "images", "epochs", "minutes")
FEW_PICTURES = 10_000
"""Fewer pictures than this a discriminator learns by heart (Zhao et al. 2020 see it on sets of 100 to 5,000)."""
MAX_DURATION = 10**12
NO_DURATION: dict[str, Any] = dict.fromkeys(DURATIONS)


@dataclass(frozen=True)
class Config:
    """All settings of a run. A preset is an instance of this class; a flag or an argument replaces one field of it."""

    preset: str = "dcgan"
    """The recipe to start from: one of the presets above, or the config.json of a run."""
    data: str = "mnist"
    """The pictures to learn from: `mnist` or `stacked-mnist`, a name of torchvision's such as `fashion-mnist`, a folder
    of pictures or IDX files, or a .zip, .npz or .npy. See docs/data.md."""
    image_size: int | str | None = 28
    """Size of the pictures in pixels, 16 to 256: one number, or HEIGHTxWIDTH. Data of another size is resized. Where
    there is none, pictures of one size up to 64x64 keep it; others become squares of 16, 32 or 64."""
    channels: int | None = None
    """1 gray, 3 RGB, 4 RGBA; without it, the fewest that lose nothing of the data."""
    fit: Fit = "crop"
    """How data of another aspect is brought to that size: `crop` its middle, `pad` it, or `stretch` it."""
    augment: Augment = "none"
    """`flip` shows half of the pictures as in a mirror; `diffaugment` varies what the discriminator sees of real and
    fake ones, which helps where there are few; `auto` does so below 10,000 pictures."""
    conditional: bool = False
    """Use the labels: the generator draws the class that it is asked for; while it trains the discriminator is told the
    class too, or with --groups the group within it."""
    mismatch: float = 0.0
    """With --conditional: the share of what the discriminator takes for fake that is real pictures told another class,
    from 0 (off) to below 1. The class asked for is then drawn more surely, with a little less variety."""
    groups: int = 0
    """Sort the pictures into so many groups of look-alikes and tell both networks the group, as if it were a class; the
    finished generator chooses by itself. Needs no labels; with --conditional each class is sorted into its share of
    them. Fewer are made of fewer than 100 pictures a group, and never more than two thirds of --z-dim. See
    docs/presets.md."""
    network: Network = "dcgan"
    """The family of generator and discriminator: `dcgan` is the study's 28x28, the others take any size."""
    init: str | None = None
    """A saved model (a run folder, or a name such as mnist) whose weights the generator starts from; the discriminator
    starts anew."""
    z_dim: int = 64
    """Length of the latent vector z that a picture is made from."""
    g_width: int = 64
    """Channels before the generator's last layer (the study's `hidden_dim`); for `mlp`, units of its first."""
    d_width: int = 16
    """Channels after the discriminator's first layer (the study's `hidden_dim`); for `mlp`, units of its last."""
    g_norm: Norm = "batch"
    """What normalises the generator's layers."""
    d_norm: Norm = "batch"
    """What normalises the discriminator's layers. `batch` mixes pictures, so it does not go with --gp, --r1, --r2."""
    loss: Loss = "non-saturating"
    """The objective that the two networks play."""
    label_smoothing: float = 0.0
    """The discriminator's target for a real picture is 1 minus this (`minimax` and `non-saturating` only)."""
    gp: float = 0.0
    """Weight of the gradient penalty of WGAN-GP; the paper's is 10."""
    r1: float = 0.0
    """Weight of the squared slope of the discriminator at real pictures, halved in the loss."""
    r2: float = 0.0
    """The same at generated pictures."""
    n_critic: int = 1
    """Discriminator updates for each generator update."""
    share_z: bool = False
    """Let the discriminator's last batch (fakes, and reals where the loss pairs them) serve the generator's update too:
    one generator forward less a step. The study draws fresh latents, and so do we unless asked."""
    batch_size: int = 128
    """Real images in one discriminator update, over all devices. The last, short batch of an epoch is kept."""
    lr: float = 2e-4
    """Adam's learning rate."""
    d_lr: float | None = None
    """The discriminator's own learning rate; without it, --lr is for both."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    clip: float = 0.0
    """A gradient of a network that is longer than this many times what Adam remembers of such is shortened to it; 0 is
    never. For objectives whose gradients leap."""
    burn_in: int = 0
    """Over this many first images, along a cosine, the weights of R1 and R2 fall from ten times to once, Adam's second
    beta rises from 0.9 and the averaged generator's half-life from 0; over a tenth of them the learning rates do."""
    lr_end: float = 1.0
    """What is left of the learning rates at the planned end, to which they fall along a cosine; 1 keeps them. A longer
    run goes on with what is left."""
    ema: int = 20_000
    """Half-life of the averaged generator's memory, in images; 0 saves the generator as it is."""
    steps: int | None = None
    """How long: generator updates. Give at most one length; without any, the preset's own holds."""
    images: int | None = None
    """How long: real images shown to the discriminator."""
    epochs: float | None = None
    """How long: passes over the data."""
    minutes: float | None = None
    """How long: training time. It is turned into a number of images once the speed has been measured."""
    evaluate_every: int = 0
    """Steps between two measurements of the averaged generator against the validation part; 0 is never. The model that
    is kept is then the best one measured, not the last. Time spent on it does not count as training time."""
    patience: int = 0
    """Stop when this many measurements in a row were no better than the best; 0 goes on to the end."""
    seed: int = 0
    """Everything random in a run follows from this number."""
    device: Device = "auto"
    """Where to train. `auto` takes CUDA or MPS when there is one."""
    devices: int = 1
    """How many devices of this machine to train on, a process for each. Under torchrun or srun their numbers hold."""
    num_nodes: int = 1
    """How many machines. Each needs a launcher: see docs/scaling.md."""
    precision: Precision = "32"
    """Arithmetic: `32` bits, or `bf16` mixed."""
    compile: bool = False
    """Let torch compile the networks, for long runs on a GPU: it takes a minute at first. A discriminator under --gp,
    --r1 or --r2 stays as it is, for compiled ones have no second derivative. On CPUs it lost (docs/experiments.md)."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two grids of samples; model and state are saved with each."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, by the name that the user typed."""
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        object.__setattr__(self, "image_size", _canonical_size(self.image_size))
        _check(self.channels in (None, 1, 3, 4), "channels", self.channels, "must be 1, 3 or 4")
        for name in ("z_dim", "g_width", "d_width", "n_critic", "batch_size", "lr", "log_every", "save_every"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "must be above 0")
        for name in ("devices", "num_nodes"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "must be above 0")
        _check(self.d_lr is None or self.d_lr > 0, "d_lr", self.d_lr, "must be above 0")
        for name in ("groups", "gp", "r1", "r2", "clip", "burn_in", "evaluate_every", "patience"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "must be 0 (off) or above")
        _check(0 < self.lr_end <= 1, "lr_end", self.lr_end, "must be above 0 and at most 1")
        for name in ("label_smoothing", "mismatch"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "must be from 0 to below 1")
        for name in ("z_dim", "g_width", "d_width", "batch_size"):
            _check(getattr(self, name) <= 65_536, name, getattr(self, name), "must be at most 65536")
        for name in DURATIONS:
            value = getattr(self, name)
            _check(value is None or 0 < value <= MAX_DURATION, name, value, "must be above 0 and at most 10^12")
        if self.patience and not self.evaluate_every:
            raise UserError("--patience counts measurements: give --evaluate-every too")
        _check(self.ema >= 0, "ema", self.ema, "must be 0 (off) or above")
        _check(0 <= self.seed < 2**63, "seed", self.seed, "must be from 0 to 2^63 - 1")
        _check(all(0 <= b < 1 for b in self.betas), "betas", self.betas, "must be two numbers, each from 0 to below 1")
        given = [f"--{name}" for name in DURATIONS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} all say how long to train: give one of them")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the pictures; None where the data decides."""
        return None if self.image_size is None else _sides(self.image_size)


def read_config(path: Path) -> Config:
    """Read the settings of a run from its `config.json`."""
    return config_from_json(read_json(path).get("settings"), path)


def config_from_json(settings: object, path: Path) -> Config:
    """Build a Config from the parsed `settings` of the file at `path`."""
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings of a run")
    unknown = [str(name) for name in settings if name not in Config.__dataclass_fields__]
    if unknown:
        raise UserError(f"{path} names a setting that this version does not know: {unknown[0]!r}")
    values = {name: _plain(value) for name, value in settings.items()}
    try:
        return Config(**values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def config_to_json(config: Config) -> dict[str, Any]:
    """The settings as JSON's own types: `from_json` gives the same Config back."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}


def _sides(size: int | str) -> tuple[int, int]:
    """`64` -> (64, 64), `48x64` -> (48, 64)."""
    height, _, width = str(size).partition("x")
    return int(height), int(width or height)


def _canonical_size(size: int | str | None) -> int | str | None:
    """A square as a number, anything else as text: what equals is written alike."""
    if size is None:
        return None
    good = re.fullmatch(r"\d{1,3}(x\d{1,3})?", str(size)) is not None
    good = good and all(16 <= side <= 256 for side in _sides(size))
    _check(good, "image_size", size, "must be N or HEIGHTxWIDTH, each from 16 to 256")
    height, width = _sides(size)
    return height if height == width else f"{height}x{width}"


def _check(good: bool, name: str, value: object, rule: str) -> None:
    if not good:
        raise UserError(f"--{name.replace('_', '-')} {rule}, not {value}")


def _check_type(name: str, value: object, kind: Any) -> None:
    """A JSON file or a Python caller can hand in anything: hold it against the field's annotation."""
    if get_origin(kind) is Literal:
        _check(value in get_args(kind), name, value, f"must be one of {', '.join(get_args(kind))}")
    elif get_origin(kind) is tuple:
        is_pair = isinstance(value, tuple) and len(value) == 2 and all(_is(v, float) for v in value)
        _check(is_pair, name, value, "must be two numbers")
    else:
        kinds = get_args(kind) or (kind,)
        good = any(_is(value, k) for k in kinds)
        _check(good, name, value, f"must be {' or '.join(_NAMES[k] for k in kinds)}")


_NAMES: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"} | {
    type(None): "nothing"
}


def _plain(value: Any) -> Any:
    """A setting in Python's own types: numpy's numbers and JSON's lists are taken for what they mean."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def _is(value: object, kind: type) -> bool:
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and abs(cast(float, value)) <= sys.float_info.max
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)
