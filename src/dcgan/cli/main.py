"""The command `dcgan`. Flags are made from the settings in `config.py`; torch is imported only once it is needed."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, get_type_hints

import tyro
from tyro import _errors as tyro_errors  # tyro's hook for errors; this module of tyro's is not yet public
from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction

import dcgan
from dcgan.cli.arguments import ARGUMENT_TYPES, number_kind
from dcgan.cli.commands import COMMANDS, WITH_SETTINGS
from dcgan.cli.evaluate import Evaluate
from dcgan.cli.inspect import DataCheck, Summary
from dcgan.cli.train import Train, TrainByData, VerifyResume
from dcgan.config import DURATIONS, NO_DURATION, Config, join_specs
from dcgan.devices.launcher import is_first_process
from dcgan.errors import UserError, did_you_mean
from dcgan.files import printable
from dcgan.metrics.features import EXTRACTORS
from dcgan.models.families import FAMILIES
from dcgan.presets import DEFAULT_PRESET, PRESET_DESCRIPTIONS, PRESETS, configure, preset_config
from dcgan.system.console import BROKEN_PIPE_STATUS, OutputError, prepare_streams, print_message, write_output
from dcgan.system.resources import explain_out_of_memory
from dcgan.training.augment import AUGMENTATIONS, AUTO_AUGMENTATION, NO_AUGMENTATION
from dcgan.training.loggers import LOGGERS
from dcgan.training.losses import OBJECTIVES

USER_ERROR_STATUS, CTRL_C_STATUS = 2, 130
CHOSEN_PRESET = "match-or-fast"
"""What the help of `dcgan train` shows as the default of --preset."""
MEMORY_ADVICE = "ask for less, for example with a lower --n, --batch-size or --image-size"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with status 0 if it is done, 2 after a user's mistake, 130 after Ctrl-C."""
    prepare_streams()
    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))


def run(argv: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        command = parse(argv)
        if command is None:
            return 0
        with explain_out_of_memory(MEMORY_ADVICE):
            result = command()
        if result is None:
            return 0
        content, text = result
        _print_output(json.dumps(content) if command.json else "\n".join(map(printable, text.split("\n"))))
    except OutputError as error:
        return BROKEN_PIPE_STATUS if error.is_broken_pipe else _print_error(str(error), USER_ERROR_STATUS)
    except UserError as error:
        return _print_error(str(error), USER_ERROR_STATUS, is_reported_here=getattr(error, "is_reported_here", False))
    except OSError as error:
        return _print_error(f"{error.filename or 'a file'}: {error.strerror or error}", USER_ERROR_STATUS)
    except KeyboardInterrupt as stop:
        return _print_error(str(stop) or "stopped", getattr(stop, "exit_status", CTRL_C_STATUS))
    return 0


def parse(argv: list[str]) -> Any:
    """Return the command that the words ask for, ready to call; None if help was asked for and printed.

    Raises:
        UserError: there is no such command, or its flags cannot be understood.
    """
    if not argv or argv[0] in ("-h", "--help"):
        _print_output(overview_text())
        return None
    if argv[0] == "--version":
        _print_output(f"dcgan {dcgan.__version__}")
        return None
    name, words = argv[0], argv[1:]
    _check_no_empty_words(words)
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{did_you_mean(name, COMMANDS)}; see dcgan --help")
    command, words = COMMANDS[name], _join_data(words)
    if command is DataCheck:
        name, words = "data check", _without_check(words)
    if command is Summary and words and not words[0].startswith("-"):
        words = ["--preset", *words]  # `dcgan summary wgan-gp`
    if command not in WITH_SETTINGS:
        return _parse_flags(name, command, words)
    return _parse_settings(name, command, words)


def _check_no_empty_words(words: list[str]) -> None:
    """Refuse words without a content: as a path they would be the current folder.

    A shell makes them of variables that are not set: `dcgan train --data "$PICTURES"`.

    Raises:
        UserError: it names the flag.
    """
    for i, word in enumerate(words):
        if word.startswith("--") and word.partition("=")[1:] == ("=", ""):
            raise UserError(f"{word[:-1]} needs a value: it is empty, as of a variable that is not set")
        if not word.strip():
            before = words[i - 1] if i and words[i - 1].startswith("--") else ""
            raise UserError(
                f"{f'the word after {before}' if before else 'a word'} is empty, as of a variable that is not set"
            )


def _parse_settings(name: str, command: Callable[..., Any], words: list[str]) -> Any:
    """Parse the flags of a command that has every setting as a flag.

    The preset and the objective decide the defaults of the other flags, so they are read first. A duration that the
    user gives replaces the preset's, so the preset's is not a default here.
    """
    named = _last_value(words, "--preset")
    preset = DEFAULT_PRESET if named is None else named
    given_names = _given_settings(words)
    given_loss = {**dict.fromkeys(given_names), "loss": _last_value(words, "--loss")}
    defaults = dataclasses.replace(preset_config(preset, given_loss), **NO_DURATION)
    if command is Train and named is None:  # only the help shows this value
        defaults = dataclasses.replace(defaults, preset=CHOSEN_PRESET)
    parsed = _parse_flags(name, command, words, default=command(defaults))
    if parsed is None:
        return None
    # verify-resume has a duration of its own, so there the preset's is left out.
    from_preset = () if command is VerifyResume else DURATIONS
    settings = {
        field: value
        for field, value in dataclasses.asdict(parsed.config).items()
        if field != "preset" and not (field in from_preset and value is None)
    }
    config = configure(preset, **settings)
    if command is Train and named is None:
        given = {field: settings[field] for field in given_names if field in settings}
        return TrainByData(config, parsed.out, parsed.json, given)
    return dataclasses.replace(parsed, config=config)


def _given_settings(words: list[str]) -> list[str]:
    """Return the names of the settings that have a flag among the words, whatever its value is."""
    flags = {word.partition("=")[0].replace("_", "-") for word in words if word.startswith("--")}
    names = {f"--{field.name.replace('_', '-')}": field.name for field in dataclasses.fields(Config)}
    return [name for flag, name in names.items() if flags & {flag, flag.replace("--", "--no-", 1)}]


def _join_data(words: list[str]) -> list[str]:
    """Return the words with one `--data` in the place of several, which name sets that are joined."""
    specs, others, rest = [], [], iter(words)
    for word in rest:
        if word == "--data" and (spec := next(rest, None)) is not None:
            specs.append(spec)
        elif word.startswith("--data="):
            specs.append(word.partition("=")[2])
        else:
            others.append(word)
    return words if len(specs) < 2 else [*others, "--data", join_specs(specs)]


def _without_check(words: list[str]) -> list[str]:
    """Return the words after `check`, which is the only thing that can be done with data."""
    if words[:1] == ["check"]:
        return words[1:]
    if words[:1] in (["-h"], ["--help"]):
        return words
    raise UserError("say what to do with the data: dcgan data check SPEC")


def overview_text() -> str:
    """Return the page that `dcgan --help` prints."""
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


def _description(command: Callable[..., Any]) -> str:
    """Return what stands above a command's flags: what it does, and the names that settings can have."""
    description = str(command.__doc__)
    if command is Evaluate:
        return f"{description}\n\nNames for --features:\n  {', '.join(EXTRACTORS)}"
    if command not in WITH_SETTINGS:
        return description
    presets = [f"  {name}: {PRESET_DESCRIPTIONS.get(name, 'settings of its own')}" for name in PRESETS]
    augmentations = [NO_AUGMENTATION, AUTO_AUGMENTATION, *AUGMENTATIONS]
    return "\n".join(
        [
            description,
            "",
            "Presets (--preset):",
            *presets,
            "",
            "Names for other flags:",
            f"  --loss: {', '.join(OBJECTIVES)}",
            f"  --network: {', '.join(FAMILIES)}",
            f"  --augment: {', '.join(augmentations)}",
            f"  --logger: {', '.join(LOGGERS)}",
        ]
    )


def _parse_flags(name: str, command: Callable[..., Any], words: list[str], **default: Any) -> Any:
    """Let tyro parse the words; return the command, or None if help was printed.

    Raises:
        UserError: tyro rejects the words.
    """

    def reject(event: tyro_errors.ParseErrorEvent) -> NoReturn:
        text = _describe_needless_flag(words, command) or _error_text(event, command)
        raise UserError(f"{text}; see dcgan {name} --help")

    with tyro_errors.on_parse_error(reject), write_output():  # tyro prints the help
        try:
            return tyro.cli(
                command,
                prog=f"dcgan {name}",
                description=_description(command),
                args=words,
                config=(OmitArgPrefixes, UseAppendAction) if command in WITH_SETTINGS else (OmitArgPrefixes,),
                registry=ARGUMENT_TYPES,
                **default,
            )
        except SystemExit:  # help was printed
            return None


def _error_text(event: tyro_errors.ParseErrorEvent, command: Callable[..., Any]) -> str:
    """Return why tyro rejects the words, on one line."""
    if isinstance(event, tyro_errors.UnrecognizedArgs):
        word = event.tokens[0]
        flag = word.partition("=")[0]
        hint = did_you_mean(flag[2:], _flag_names(command)).replace("'", "'--", 1) if flag.startswith("--") else ""
        return f"there is no flag {flag}{hint}" if word.startswith("-") else f"there is no argument for {word!r}"
    if isinstance(event, tyro_errors.MissingArgs):
        missing = " and ".join(_argument_name(context.arg) for context in event.missing_arguments)
        return f"{missing} {'is' if len(event.missing_arguments) == 1 else 'are'} missing"
    if isinstance(event, tyro_errors.InvalidChoice):
        return f"{_argument_name(event.argument)} must be one of {', '.join(event.choices)}, not {event.value}"
    if isinstance(event, tyro_errors.BadValue):
        return f"{_argument_name(event.argument)} needs a value, or more of them"
    if isinstance(event, tyro_errors.InstantiationFailure):
        flag = f"{_argument_name(event.argument)}: " if event.argument else ""
        # For a setting that may have several types, the message gives a reason for each: the last one counts.
        reason = event.message.rpartition(">: ")[2]
        if event.argument and (kind := number_kind(event.argument.field.type_stripped)):
            listed = re.findall(r"\[('[^\]]*)\]", reason)  # several words
            words = " ".join(re.findall(r"'([^']*)'", listed[-1] if listed else reason))
            return f"{_argument_name(event.argument)} takes {kind}{f', not {words}' if words else ''}"
        return f"{flag}{' '.join(reason.split())}"
    return "these flags cannot be used like this"


def _describe_needless_flag(words: Sequence[str], command: Any) -> str:
    """Return what to do if a word is the flag of an argument that has none, such as `--run`; otherwise nothing."""
    for name in _positional_names(command):
        if any(word.partition("=")[0] == f"--{name}" for word in words):
            return f"there is no flag --{name}: give {name.upper()} without it"
    return ""


def _positional_names(command: Any) -> list[str]:
    """Return the names of the arguments of a command that have no flag."""
    marker = Positional[str].__metadata__[0]  # type: ignore[attr-defined]
    hints = get_type_hints(command, include_extras=True)
    return [name for name, hint in hints.items() if marker in getattr(hint, "__metadata__", ())]


def _argument_name(argument: Any) -> str:
    """Return a flag as it is written, or the name of a positional argument in the help."""
    if argument.is_positional():
        return str(argument.lowered.metavar)
    return str(argument.display_name()).partition("/")[0].partition(" ")[0].rstrip(",")


def _flag_names(command: Any) -> Iterable[str]:
    """Yield the flags of a command, without the dashes in front."""
    positional = _positional_names(command)
    for field in dataclasses.fields(command):
        names = [f.name for f in dataclasses.fields(Config)] if field.name == "config" else [field.name]
        yield from (name.replace("_", "-") for name in names if name not in positional)


def _last_value(words: list[str], flag: str) -> str | None:
    """Return the value of `--flag value` or `--flag=value`; the last one if there are several."""
    value = None
    for word, next_word in zip(words, [*words[1:], None], strict=False):
        if word == flag:
            value = next_word
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value


def _print_output(text: str) -> None:
    """Print a text on standard output.

    Raises:
        OutputError: it cannot be written.
    """
    with write_output():
        print(text)


def _print_error(message: str, status: int, *, is_reported_here: bool = False) -> int:
    """Print one line on standard error and return the exit status.

    What all processes of a run know is printed by the first one only.
    """
    if is_reported_here or is_first_process():
        print_message("dcgan:", printable(" ".join(message.split())))
    return status
