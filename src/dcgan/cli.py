"""The command `dcgan`. Flags are made from the settings in `config.py`; torch is imported only once it is needed."""

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

import dcgan
from dcgan.config import (
    DURATIONS,
    NO_LENGTH,
    PRESET_LINES,
    Config,
    Device,
    UserError,
    configure,
    did_you_mean,
    preset_config,
)
from dcgan.files import printable

Split = Literal["test", "validation", "train", "all"]
Result = tuple[dict[str, Any], str]
"""What a command found: an object for `--json`, and the same for people."""


@dataclass(frozen=True)
class Train:
    """Train a GAN into a run folder. No flag is needed: built-in MNIST, the default preset."""

    config: Annotated[Config, arg(name="")]
    out: Path | None = None
    """The run folder; by default the next free one in runs/."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.training import train_config

        return _run_result(train_config(self.config, self.out).path)


@dataclass(frozen=True)
class Resume:
    """Go on with a run exactly where it stopped. A length counts from the run's start."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    steps: int | None = None
    """Go on until this many generator updates."""
    images: int | None = None
    """Go on until this many real images were shown."""
    epochs: float | None = None
    """Go on until this many passes over the data."""
    minutes: float | None = None
    """Go on until this much training time."""
    device: Device | None = None
    """Go on there instead of where the run was; other arithmetic, so no longer the same to the bit."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.training import resume

        length = {name: getattr(self, name) for name in DURATIONS}
        return _run_result(resume(self.run, device=self.device, **length).path)


@dataclass(frozen=True)
class VerifyResume:
    """Prove that stop and resume equals no stop: train, kill at a random moment, resume, compare every bit."""

    config: Annotated[Config, arg(name="")]
    kill_seed: int | None = None
    """Which random moment; by default another each time."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.verify import STEPS, verify_resume

        if any(getattr(self.config, name) is not None for name in DURATIONS if name != "steps"):
            raise UserError("the length of a proof is given in --steps")
        proof = verify_resume(self.config, steps=self.config.steps or STEPS, seed=self.kill_seed)
        return proof.as_json(), proof.as_text()


@dataclass(frozen=True)
class Sample:
    """Draw pictures with a trained model."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a saved model's folder, or a Hub id such as user/name."""
    out: Path
    """FILE.png: a grid, a row for each class if there are few. FILE.npz: the array arr_0, uint8 (N, H, W, C), and the
    labels as arr_1 if there are classes. A folder: one PNG a sample."""
    n: int = 64
    """How many pictures."""
    seed: int = 0
    """Picture i of a seed is the same whatever --n is."""
    label: str | None = None
    """The class to draw, by index or by name; without it a conditional model draws every class in turn."""
    truncation: float | None = None
    """Keep each coordinate of z within this distance of 0: lower is more typical and less varied."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sample import check_out, load, write

        check_out(self.out)
        model = load(self.model)
        pixels = model.sample(self.n, self.seed, label=self.label, truncation=self.truncation)
        rows = len(model.classes) if self.label is None else 0
        write(pixels, self.out, model.labels(self.n, self.label), rows=rows)
        found = {"out": str(self.out), "n": self.n, "seed": self.seed, "shape": list(pixels.shape)}
        return found, f"{self.n} samples: {self.out}"


@dataclass(frozen=True)
class Interpolate:
    """Walk through latent space: from sample to sample, or along a principal direction."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a saved model's folder, or a Hub id such as user/name."""
    out: Path
    """FILE.gif: an animation that repeats. FILE.png: a strip."""
    stops: int = 5
    """How many samples of the seed to pass through."""
    frames: int = 12
    """Pictures from each sample to the next, or along the whole direction."""
    seed: int = 0
    """Whose samples: the first ones that `dcgan sample` draws with it."""
    label: str | None = None
    """The class to draw, by index or by name; without it a conditional model draws its first."""
    direction: int | None = None
    """Move the first sample along this principal direction of the generator's first features instead; 1 is the
    strongest."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sample import check_out, load, write_walk

        check_out(self.out, (".gif", ".png"))
        model, closed = load(self.model), self.out.suffix == ".gif"
        if self.direction is None:
            pixels = model.walk(self.stops, self.frames, self.seed, label=self.label, closed=closed)
        else:
            pixels = model.along(self.direction, self.frames, self.seed, label=self.label)
        write_walk(pixels, self.out)
        found = {"out": str(self.out), "frames": len(pixels), "seed": self.seed, "shape": list(pixels.shape)}
        return found, f"{len(pixels)} frames: {self.out}"


@dataclass(frozen=True)
class Evaluate:
    """Measure how good samples are: distances to real pictures, each with an interval and a floor."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a saved model's folder, a Hub id, an .npz of samples, or a folder of pictures."""
    data: str | None = None
    """The real pictures, as for `dcgan train`; by default what the model was trained on."""
    split: Split = "test"
    """Which part of them."""
    n: int | None = None
    """Samples in each figure: 10,000 by default, 26,000 of stacked digits; of files at most what there is."""
    features: str | None = None
    """`judge` (a classifier of digits), `inception`, `random`, or the folder of a judge of your own. By default `judge`
    for mnist and stacked-mnist at their own size, else `random`."""
    seeds: int = 5
    """How many independent sets of samples the intervals are made from, 5 to 20; files are cut into as many parts."""
    resize: FlagCreatePairsOff[bool] = False
    """Bring samples of another size or other channels to those of the features or the data."""
    infinite: FlagCreatePairsOff[bool] = False
    """Extrapolate the Fréchet distance to infinitely many samples too."""
    train_on_fakes: FlagCreatePairsOff[bool] = False
    """Train a classifier on the samples and try it on the real pictures too: minutes; needs classes."""
    neighbours: Path | None = None
    """FILE.png to write: samples, each followed by the training pictures nearest to it."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.evaluate import measure

        options = {name: value for name, value in vars(self).items() if name not in ("model", "json")}
        found = measure(self.model, **options)
        return found.as_json(), found.as_table()


@dataclass(frozen=True)
class Summary:
    """Show every layer's shape with the size formula filled in, its parameters and its multiply-adds."""

    config: Annotated[Config, arg(name="")]
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.data import open_images
        from dcgan.models import build, check
        from dcgan.models.summary import as_json, as_table, summarize

        config = self.config
        check(config)
        # the test part is the smaller one, and of the same shape
        data = open_images(config.data, "test", size=config.size, channels=config.channels, fit=config.fit)
        channels, height, width = data.pixels.shape[1:]
        shape = (channels, height, width)
        networks = build(config, shape, len(data.classes) if config.conditional else 0)
        found, text = {}, []
        for name, network, source in zip(
            ("generator", "discriminator"), networks, ((config.z_dim,), shape), strict=True
        ):
            rows = summarize(network, source, labelled=config.conditional)
            found[name] = as_json(source, rows)
            text.append(as_table(name.capitalize(), source, rows))
        return found, "\n\n".join(text)


@dataclass(frozen=True)
class DataCheck:
    """Look at a set of pictures: what is in it, what is broken, what to train. Said as `dcgan data check SPEC`."""

    spec: Annotated[Positional[str], arg(metavar="SPEC")]
    """What `--data` takes: a folder, a .zip, an .npz, a name."""
    out: Path | None = None
    """The contact sheet, a .png; by default NAME-contact.png in this folder."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.advise import as_text, data_check

        found = data_check(self.spec, self.out)
        return found, as_text(found)


COMMANDS: dict[str, Callable[..., Any]] = {
    "train": Train,
    "resume": Resume,
    "verify-resume": VerifyResume,
    "sample": Sample,
    "interpolate": Interpolate,
    "evaluate": Evaluate,
    "summary": Summary,
    "data": DataCheck,
}
WITH_SETTINGS = (Train, Summary, VerifyResume)
"""Commands with every setting as a flag."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 a user's mistake, 130 Ctrl-C."""
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(argv: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        task = parse(argv)
        if task is None:
            return 0
        found, text = task()
        print(json.dumps(found) if task.json else "\n".join(map(printable, text.split("\n"))))
    except UserError as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 2)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "stopped", getattr(stop, "status", 130))
    return 0


def parse(argv: list[str]) -> Any:
    """The command that the words ask for, ready to call; None where help was asked for and printed."""
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return None
    if argv[0] == "--version":
        print(f"dcgan {dcgan.__version__}")
        return None
    name, words = argv[0], argv[1:]
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}; see dcgan --help")
    command = COMMANDS[name]
    if command is DataCheck:
        name, words = "data check", _after_check(words)
    if command is Summary and words and not words[0].startswith("-"):
        words = ["--preset", *words]  # `dcgan summary wgan-gp`
    if command not in WITH_SETTINGS:
        return _parse(name, command, words)
    # The preset decides what the other flags' defaults are, so it is read first. A duration that the user gives
    # replaces the preset's, so none is a default here.
    preset = _flag(words, "--preset")
    preset = "dcgan" if preset is None else preset
    base = preset_config(preset)
    shown = replace(base, **NO_LENGTH)
    task = _parse(name, command, words, default=command(shown))
    if task is None:
        return None
    # A proof has a length of its own, so there the preset's is left out.
    kept = () if command is VerifyResume else DURATIONS
    given = {f: v for f, v in asdict(task.config).items() if f != "preset" and not (f in kept and v is None)}
    return replace(task, config=configure(preset, **given))


def _after_check(words: list[str]) -> list[str]:
    """`check` is the only thing that is done with data."""
    if words[:1] == ["check"]:
        return words[1:]
    if words[:1] in (["-h"], ["--help"]):
        return words
    raise UserError("say what to do with the data: dcgan data check SPEC")


def overview() -> str:
    """The page that `dcgan --help` prints."""
    lines = [f"  {name:<13} {str(command.__doc__).splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: dcgan COMMAND [FLAGS]",
            "",
            "Train a GAN on small images.",
            "",
            *lines,
            "",
            "dcgan COMMAND --help shows its flags.",
        ]
    )


def _parse(name: str, command: Callable[..., Any], words: list[str], **default: Any) -> Any:
    """Let tyro read the words. Its boxed error becomes our one line."""
    description = str(command.__doc__)
    if command in WITH_SETTINGS:
        description += "\n\nPresets:\n" + "\n".join(f"  {k}: {line}" for k, line in PRESET_LINES.items())
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                command, prog=f"dcgan {name}", description=description, args=words, config=(OmitArgPrefixes,), **default
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        raise UserError(f"{unboxed(box.getvalue())}; see dcgan {name} --help") from None


def unboxed(box: str) -> str:
    """The message in one of tyro's boxes, as one line: its first paragraph and what it thinks was meant.

    Depending on the terminal the box has a frame or none, lines in Unicode or in ASCII, and colours.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box).strip("\n")
    rows = [row.rstrip("│ ")[2:] for row in plain.splitlines()[1:] if not row.startswith("╰")]
    shallow = [row for row in rows if not row.startswith(" " * 5)]  # deeper rows are the flags' own help
    paragraphs = [text.strip() for text in re.split(r"^[─-]+$", "\n".join(shallow), flags=re.MULTILINE)]
    message, *others = filter(None, paragraphs)
    kept = [message, *(text for text in others if text.startswith("Perhaps"))]
    return "; ".join(" ".join(text.split()) for text in kept)


def _flag(words: list[str], name: str) -> str | None:
    """The value of `--name value` or `--name=value`, the last one given."""
    found = None
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word == name:
            found = following
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def _run_result(path: Path) -> Result:
    from dcgan.run import RunFolder

    folder = RunFolder(path)
    grid, last = max(folder.samples.iterdir()), max(folder.lines(), key=lambda line: int(line["step"]))
    found = {"run": str(path), "samples": str(grid), "model": str(folder.model), **last}
    text = [
        f"{path}: {last['step']:,} steps, {last['images_seen']:,} images, {last['seconds']:.0f} s of training",
        f"  pictures   {grid}",
        f"  curves     {path / 'curves.png'}",
        f"  model      {folder.model}",
        f"  draw more  dcgan sample {shlex.quote(str(path))} --out digits.png",
    ]
    return found, "\n".join(text)


def _complain(message: str, status: int) -> int:
    """One line on standard error, whatever is in the message."""
    print("dcgan:", printable(" ".join(message.split())), file=sys.stderr)
    return status
