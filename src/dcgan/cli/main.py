"""The command `dcgan`. Flags are made from the settings in `config.py`; torch is imported only once it is needed."""

import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import tyro
from tyro.conf import OmitArgPrefixes

import dcgan
from dcgan.cli.commands import COMMANDS, WITH_SETTINGS, DataCheck, Summary, VerifyResume
from dcgan.config import DURATIONS, NO_DURATION
from dcgan.devices.launcher import is_first_process
from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable
from dcgan.presets import DEFAULT_PRESET, PRESET_DESCRIPTIONS, configure, preset_config


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 a user's mistake, 130 Ctrl-C."""
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(argv: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        task = parse(argv)
        if task is None:
            return 0
        if (result := task()) is None:
            return 0
        found, text = result
        print(json.dumps(found) if task.json else "\n".join(map(printable, text.split("\n"))))
    except UserError as error:
        return _complain(str(error), 2, is_heard=getattr(error, "is_heard", False))
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 2)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "stopped", getattr(stop, "status", 130))
    return 0


def parse(argv: list[str]) -> Any:
    """The command that the words ask for, ready to call; None where help was asked for and printed."""
    if not argv or argv[0] in ("-h", "--help"):
        print(overview_text())
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
    preset = DEFAULT_PRESET if preset is None else preset
    base = preset_config(preset)
    shown = replace(base, **NO_DURATION)
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


def overview_text() -> str:
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
        description += "\n\nPresets:\n" + "\n".join(f"  {k}: {line}" for k, line in PRESET_DESCRIPTIONS.items())
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                command, prog=f"dcgan {name}", description=description, args=words, config=(OmitArgPrefixes,), **default
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        raise UserError(f"{message_in_box(box.getvalue())}; see dcgan {name} --help") from None


def message_in_box(box: str) -> str:
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


def _complain(message: str, status: int, *, is_heard: bool = False) -> int:
    """One line on standard error, whatever is in the message; of many processes only the first says what all know."""
    if is_heard or is_first_process():
        print("dcgan:", printable(" ".join(message.split())), file=sys.stderr)
    return status
