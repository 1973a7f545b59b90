import ast
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import dcgan
from dcgan.system import console
from dcgan.system.console import BROKEN_PIPE_STATUS, REPLACEMENTS, OutputError, print_message, standard_error

TABLE = "Fréchet distance ↓ 0.5 ± 0.1 … 3 × 4 → 12"
PRINT_TABLE = """
import sys
from dcgan.cli import main
class Command:
    json = False
    def __call__(self):
        print("step 3: Fréchet distance 5 ↓ 그림", file=sys.stderr)
        return {}, sys.argv[1]
main.parse = lambda words: Command()
main.main([])
"""


def python(code: str, *words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    options = {"capture_output": True, "timeout": 200, **options}
    return subprocess.run([sys.executable, "-c", code, *words], text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("encoding", ["cp1252", "cp949", "ascii", "latin-1", "utf-8", "shift_jis", "cp437"])
def test_every_encoding_gets_every_text(encoding: str):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    text = f"{TABLE} 그림 \udce9"
    process = subprocess.run(
        [sys.executable, "-c", PRINT_TABLE, text],
        capture_output=True,
        env={**environment, "PYTHONUTF8": "1"} if encoding == "utf-8" else environment,
        timeout=200,
    )
    assert process.returncode == 0, process.stderr
    out, err = process.stdout.decode(encoding), process.stderr.decode(encoding)
    expected = "".join(_in_encoding(character, encoding) for character in text.replace("\udce9", r"\udce9"))
    assert out.splitlines() == [expected]
    assert "step 3: Fr" in err


def _in_encoding(character: str, encoding: str) -> str:
    try:
        return character.encode(encoding).decode(encoding)
    except UnicodeEncodeError:
        return REPLACEMENTS.get(character, ascii(character)[1:-1])


def run_with_output(words: Sequence[str], output: str, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    command = " ".join([sys.executable, "-m", "dcgan", *words])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {output}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=200,
    )


POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
HELP = (["--help"], ["--version"], ["train", "--help"], ["sample", "mnist", "--n", "1", "--out", "a.png", "--json"])


@POSIX
@pytest.mark.parametrize("words", HELP)
def test_a_reader_that_ends_first_is_no_error(words: list[str], tmp_path: Path):
    process = run_with_output(words, "| (exec <&-; sleep 0; true)", tmp_path)
    assert process.returncode in (0, BROKEN_PIPE_STATUS)  # 0: all of it was in the pipe already
    assert process.stderr == ""


@POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", HELP)
def test_a_full_disk_is_named(words: list[str], tmp_path: Path):
    process = run_with_output(words, "> /dev/full", tmp_path)
    assert process.returncode == 2
    assert process.stderr == "dcgan: standard output: No space left on device\n"


@POSIX
@pytest.mark.parametrize(
    "redirection",
    ["2>/dev/full", "0<&- 1>&- 2>&-", *(pytest.param(r, marks=pytest.mark.slow) for r in ("2>&-", "1>&- 2>&-"))],
)
def test_a_training_needs_no_standard_streams(redirection: str, tmp_path: Path):
    words = ["train", "--preset", "vanilla", "--steps", "2", "--batch-size", "16", "--out", "run", "--device", "cpu"]
    assert run_with_output(words, redirection, tmp_path).returncode == 0
    assert (tmp_path / "run" / "report.html").is_file()


WITHOUT_STREAMS = """
import sys
sys.stdout = sys.stderr = None  # as in pythonw
import dcgan
run = dcgan.train("vanilla", steps=2, batch_size=16, out=sys.argv[1], device="cpu")
dcgan.evaluate(run, n=100, data="mnist")
assert sys.stderr is None
"""


@pytest.mark.slow
def test_a_program_without_standard_error_trains_and_evaluates(tmp_path: Path):
    assert python(WITHOUT_STREAMS, str(tmp_path / "run")).returncode == 0


def test_every_progress_bar_is_written_to_a_stream_that_is_there():
    """Its default is `sys.stderr`, which a program without a console does not have."""
    sources = {path: ast.parse(path.read_text(encoding="utf-8")) for path in Path(dcgan.__file__).parent.rglob("*.py")}
    calls = [node for tree in sources.values() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    bars = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "tqdm"]
    assert len(bars) >= 5
    assert all("file" in [keyword.arg for keyword in bar.keywords] for bar in bars)


class FailingStream(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise ValueError("I/O operation on closed file")

    def isatty(self) -> bool:
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [None, FailingStream()])
def test_what_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch, stream: FailingStream | None):
    monkeypatch.setattr(sys, "stderr", stream)
    print_message("lost")
    error = standard_error()
    assert not error.isatty()
    monkeypatch.setattr(sys, "stderr", error)
    assert standard_error() is error
    print_message("lost too")


def test_standard_error_is_written_where_it_leads(capsys: pytest.CaptureFixture[str]):
    print_message("a", "b")
    assert capsys.readouterr().err == "a b\n"
    assert standard_error() == sys.stderr
    assert standard_error() != sys.stdout


def test_an_error_of_standard_output_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", FailingStream())
    with pytest.raises(OutputError, match="standard output: Input/output error") as error, console.write_output():
        print("x")
    assert not error.value.is_broken_pipe
    assert OutputError(BrokenPipeError(32, "Broken pipe")).is_broken_pipe


@pytest.mark.parametrize("module", ["dcgan", "dcgan.metrics.judge"])
def test_every_program_prepares_its_streams(module: str):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = python(
        f"import runpy, sys; sys.argv = ['x', '--help']; runpy.run_module('{module}', run_name='__main__')",
        env=environment,
    )
    assert process.returncode == 0
    assert "usage" in process.stdout


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")
def test_a_progress_bar_knows_how_wide_the_terminal_is():
    import fcntl
    import pty
    import struct
    import termios

    code = """
import sys
from tqdm import tqdm
from dcgan.system.console import prepare_streams, standard_error
prepare_streams()
print(len(tqdm(total=3, desc=99 * "x", file=standard_error()).__str__()))
"""
    terminal, stream = pty.openpty()
    try:
        fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 61, 0, 0))
        process = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stream, text=True)
    finally:
        os.close(stream)
        os.close(terminal)
    assert int(process.stdout) == 60
