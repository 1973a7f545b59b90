import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.cli.commands import COMMANDS
from dcgan.cli.main import parse, run
from dcgan.models.build import build_networks
from dcgan.models.families import FAMILIES
from dcgan.run.folder import RunFolder
from dcgan.training.augment import AUGMENTATIONS
from dcgan.training.losses import OBJECTIVES
from tests.conftest import SMALL, SMALL_FLAGS


def child_processor_time_s() -> float:
    """Return the processor time of the child processes that have ended: it does not depend on other processes."""
    times = os.times()
    return times.children_user + times.children_system


def test_help_is_quick_and_loads_no_torch():
    code = (
        "import sys; from dcgan.cli.main import run; "
        "run(['--help']); run(['train', '--help']); assert 'torch' not in sys.modules"
    )
    start = child_processor_time_s()
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert child_processor_time_s() - start < 2  # both pages, with the interpreter; measured: 0.1 s and 0.2 s
    for name in COMMANDS:
        assert f"  {name} " in out


def test_ctrl_c_while_the_command_is_imported_ends_it_in_one_line():
    code = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "tyro":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from dcgan.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "dcgan: stopped\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_defaults(command: str, capsys: pytest.CaptureFixture[str]):
    assert run([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"usage: dcgan {command}" in out
    fields = dataclasses.fields(COMMANDS[command])
    with_default = [f for f in fields if f.default is not dataclasses.MISSING]
    settings_count = len(dataclasses.fields(dcgan.Config)) if "config" in [f.name for f in fields] else 0
    assert out.count("(default:") + out.count("(repeatable)") >= len(with_default) + settings_count
    assert err == ""


def test_the_default_preset_in_the_help_of_train_is_the_choice_by_the_data(capsys: pytest.CaptureFixture[str]):
    assert run(["train", "--help"]) == 0
    assert "(default: match-or-fast)" in " ".join(capsys.readouterr().out.split())
    assert parse(["train"]).config.preset == "fast"
    assert run(["train", "--preset", "dcgan", "--help"]) == 0
    assert "(default: dcgan)" in capsys.readouterr().out


def test_help_lists_the_names_that_settings_can_have(capsys: pytest.CaptureFixture[str]):
    run(["train", "--help"])
    out = capsys.readouterr().out
    assert "dcgan: the study's network and settings" in out
    words = set(re.sub(r"[,:]", " ", out).split())
    assert words >= {*dcgan.PRESETS, *OBJECTIVES, *FAMILIES, *AUGMENTATIONS}


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"dcgan {dcgan.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "there is no command 'trian', did you mean 'train'?"),
        (["train", "--preset", "dcgna"], "no preset 'dcgna', did you mean 'dcgan'?"),
        (["train", "--preset=dcgna"], "no preset 'dcgna'"),
        (["train", "--preset", "none.json"], "cannot read none.json"),
        (["train", "--data", "mnits"], "no data 'mnits', did you mean 'mnist'?"),
        (["train", "--colour", "red"], "there is no flag --colour"),
        (["resume", "--run", "x"], "there is no flag --run: give RUN without it; see dcgan resume --help"),
        (["studio", "--runs=x"], "there is no flag --runs: give RUNS without it; see dcgan studio --help"),
        (["train", "--los", "x"], "there is no flag --los, did you mean '--loss'?; see dcgan train --help"),
        (["train", "--lr", "fast"], "--lr takes a number, not fast; see dcgan train --help"),
        (["train", "--lr"], "--lr needs a value"),
        (["train", "--lr", "-1"], "--lr must be above 0"),
        (["train", "--betas", "0.5"], "--betas needs a value, or more of them"),
        (["train", "--loss", "hings"], "--loss must be one of minimax"),
        (["train", "--loss", "hings"], "not hings, did you mean 'hinge'?"),
        (["train", "--network", "mpl"], "there is no network 'mpl', did you mean 'mlp'?"),
        (["train", "--augment", "flop"], "not flop, did you mean 'flip'?"),
        (["train", "--g-norm", "bach"], "--g-norm must be one of batch, instance, layer, none, spectral, not bach"),
        (["train", "--steps", "many"], "--steps takes a whole number, not many; see dcgan train --help"),
        (["resume", "r", "--steps", "1e3"], "--steps takes a whole number, not 1e3; see"),
        (["sample", "mnist", "--out", "a.png", "--n", "1.5"], "--n takes a whole number, not 1.5; see"),
        (["train", "--betas", "a", "b"], "--betas takes two numbers, not a b; see"),
        (["train", "--value-range", "0", "b"], "--value-range takes two numbers, not 0 b; see"),
        (["compare", "--out", "c", "--seeds", "1", "b"], "--seeds takes whole numbers, not 1 b; see"),
        (["train", "--steps", "'"], "--steps takes a whole number; see"),
        (["train", "--no-shared-z"], "there is no flag --no-shared-z"),
        (["train", "--preset="], "--preset needs a value: it is empty"),
        (["train", "--g-width", "65536"], "GB to train"),
        (["train", "--epochs", "1e308"], "at most 10^12"),
        (["train", "--steps", "0"], "--steps must be above 0"),
        (["train", "--steps", "5", "--minutes", "1"], "--steps and --minutes"),
        (["train", "--image-size", "5"], "from 16 to 256"),
        (["train", "extra"], "there is no argument for 'extra'"),
        (["summary", "dcgna"], "no preset 'dcgna'"),
        (["summary", "dcgan", "--image-size", "64"], "28x28 only"),
        (["sample"], "MODEL and --out are missing"),
        (["sample", "mnist"], "--out is missing; see dcgan sample --help"),
        (["sample", "nowhere", "--out", "a.png"], "there is no nowhere"),
        (["sample", "nowhere", "--out", "a.jpg"], "give a .png"),
        (["resume", "nowhere"], "no run at nowhere"),
        (["train", "--n-critic", "0"], "--n-critic must be above 0"),
        (
            ["train", "--gp", "10"],
            "--gp needs scores that depend on one picture each, and BatchNorm in the discriminator",
        ),
        (["train", "--loss", "wasserstein"], "--loss wasserstein needs a critic with a bounded gradient: use --gp 10"),
        (
            ["train", "--preset", "wgan-gp", "--conditional", "--mismatch", "0.1"],
            "--loss wasserstein does not bound the loss for a wrong class: use --mismatch 0",
        ),
        (["train", "--loss", "hinge", "--label-smoothing", "0.1"], "hinge has no labels to smooth"),
        (["train", "--network", "resnet"], "the network resnet has no normalization: use --g-norm none"),
        (["train", "--preset", "vanilla", "--g-norm", "instance"], "no pixels to normalize over"),
        (["train", "--preset", "dcgan64", "--image-size", "300"], "from 16 to 256"),
        (["train", "--init", "nowhere"], "there is no nowhere"),
        (["interpolate", "nowhere", "--out", "a.gif"], "there is no nowhere"),
        (["interpolate", "nowhere", "--out", "a.gif", "--direction", "1", "--stops", "3"], "give one of them"),
        (["interpolate", "nowhere", "--out", "a.gif", "--direction-method", "activations"], "give --direction too"),
        (["sample", "nowhere", "--out", "a.png", "--direction-method", "activations"], "give --direction too"),
        (["interpolate", "nowhere", "--out", "a.npz"], "give a .gif (an animation) or a .webp"),
    ],
)
def test_a_mistake_ends_in_one_line_and_writes_nothing(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    assert message in refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_and_an_unwritable_folder_are_refused(refused, finished_run: RunFolder, tmp_path: Path):
    assert "dcgan resume" in refused("train", "--out", str(finished_run.path))
    (tmp_path / "file").touch()
    assert "cannot write" in refused("train", "--out", str(tmp_path / "file" / "run"))


def test_damaged_files_are_refused(refused, finished_run: RunFolder, tmp_path: Path):
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_text("x")
    assert "not JSON" in refused("sample", str(tmp_path), "--out", "a.png")
    assert "not JSON" in refused("resume", str(tmp_path))
    assert "not JSON" in refused("train", "--preset", str(tmp_path / "config.json"))


def test_train_resume_and_sample_in_new_processes(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    process = cli("train", "--steps", "3", *SMALL_FLAGS)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[0].startswith("runs/fast-mnist-1: 3 steps")
    assert "samples/00000048.png" in process.stdout
    for text in ("Loss_D", "Loss_G", "D(x)", "D(G(z))", "from 1/2", "img/s"):
        assert text in process.stderr
    assert "Traceback" not in process.stderr

    process = cli("resume", "runs/fast-mnist-1", "--steps", "5", "--json")
    result = json.loads(process.stdout)
    assert (result["run"], result["step"], result["images_seen"]) == ("runs/fast-mnist-1", 5, 80)
    assert (tmp_path / result["samples"]).exists()

    process = cli("sample", "runs/fast-mnist-1", "--n", "5", "--seed", "3", "--out", "few.npz", "--json")
    assert json.loads(process.stdout) == {"out": "few.npz", "n": 5, "seed": 3, "shape": [5, 28, 28, 1]}
    monkeypatch.chdir(tmp_path)
    assert run(["sample", "runs/fast-mnist-1", "--n", "70", "--seed", "3", "--out", "many.npz"]) == 0
    few, many = (np.load(tmp_path / name, allow_pickle=False)["arr_0"] for name in ("few.npz", "many.npz"))
    assert (few == many[:5]).all()

    assert run(["sample", "runs/fast-mnist-1", "--n", "9", "--truncation", "0.7", "--out", "grid.png"]) == 0
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (92, 92)


def test_the_command_line_equals_the_python_call(
    finished_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["train", "--preset", "dcgan", "--out", str(tmp_path / "r"), "--steps", "7", *SMALL_FLAGS]) == 0
    assert RunFolder(tmp_path / "r").config() == finished_run.config()
    assert (tmp_path / "r/model/model.safetensors").read_bytes() == (
        finished_run.model / "model.safetensors"
    ).read_bytes()


@pytest.mark.usefixtures("capsys")
def test_the_config_of_a_run_is_a_preset(finished_run: RunFolder, tmp_path: Path):
    words = ["train", "--preset", str(finished_run.path / "config.json"), "--out", str(tmp_path / "r"), "--steps", "1"]
    assert run(words) == 0
    config = RunFolder(tmp_path / "r").config()
    assert (config.steps, config.g_width) == (1, 4)


def test_the_command_in_config_json_is_understood(finished_run: RunFolder):
    words = json.loads((finished_run.path / "config.json").read_text())["command"].split()
    assert parse(words[1:]).config == finished_run.config()


@pytest.mark.parametrize("preset", dcgan.PRESETS)
def test_the_summary_of_every_preset(preset: str, capsys: pytest.CaptureFixture[str]):
    assert run(["summary", preset]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Generator\n")
    names = ["generator"] if preset == "match" else ["generator", "discriminator"]  # `match` trains no discriminator
    assert ("\nDiscriminator\n" in text) == (len(names) == 2)
    assert run(["summary", preset, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary.keys() == set(names)
    for network in summary.values():
        assert f"{network['parameters']:,}" in text
        assert f"{network['multiply_adds']:,}" in text


def test_labels_and_interpolations(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--preset", "cgan", "--steps", "2", "--out", "r", *SMALL_FLAGS]) == 0
    with Image.open(tmp_path / "r/samples/00000032.png") as image:
        assert image.size == (8 * 30 + 2, 10 * 30 + 2)

    assert run(["sample", "r", "--n", "12", "--out", "all.npz"]) == 0
    assert run(["sample", "r", "--n", "12", "--label", "7", "--out", "sevens.npz"]) == 0
    with np.load(tmp_path / "all.npz") as samples, np.load(tmp_path / "sevens.npz") as sevens:
        assert samples["arr_1"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
        assert sevens["arr_1"].tolist() == [7] * 12
        assert (samples["arr_0"][7] == sevens["arr_0"][7]).all()

    capsys.readouterr()
    for label in ("10", "seven", "-1"):
        assert "--label takes 0 to 9 or a name, 0 to 9" in refused("sample", "r", f"--label={label}", "--out", "no.png")
    assert not (tmp_path / "no.png").exists()

    assert (
        run(["interpolate", "r", "--out", "walk.gif", "--stops", "3", "--frames", "2", "--label", "3", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out) == {"out": "walk.gif", "frames": 6, "seed": 0, "shape": [6, 28, 28, 1]}
    assert run(["interpolate", "r", "--out", "strip.png", "--direction", "1", "--frames", "5"]) == 0
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == (5 * 30 + 2, 32)


def test_a_label_for_a_model_without_classes_is_refused(refused, finished_run: RunFolder, tmp_path: Path):
    words = ["sample", str(finished_run.path), "--label", "3", "--out", str(tmp_path / "a.png")]
    assert "takes no --label" in refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_custom_parts_is_resumed_from_python_only(
    refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = dcgan.train(out=tmp_path / "r", steps=1, loss=OBJECTIVES["hinge"], **SMALL)
    capsys.readouterr()
    assert "continue it with dcgan.resume(" in refused("resume", str(folder.path), "--steps", "4")


@pytest.mark.parametrize(("words", "classes", "groups"), [([], 0, 128), (["--conditional"], 10, 120)])
def test_the_summary_of_the_default(words: list[str], classes: int, groups: int, capsys: pytest.CaptureFixture[str]):
    assert run(["summary", "--json", *words]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["generator"]["input"] == [dcgan.PRESETS["fast"].z_dim]
    assert summary["generator"]["layers"][-1]["output"] == [1, 28, 28]
    networks = build_networks(dcgan.PRESETS["fast"], (1, 28, 28), classes, groups)
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert [summary[name]["parameters"] for name in ("generator", "discriminator")] == counts


@pytest.mark.parametrize("words", [["dcgan"], ["--preset", "dcgan"]])
def test_the_summary_of_the_study(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(["summary", *words]) == 0
    text = capsys.readouterr().out
    assert "(13 - 1)*2 - 2*0 + 1*(4 - 1) + 0 + 1 = 28" in text
    assert "747,841" in text
    assert "9,105" in text
    assert run(["summary", *words, "--json", "--z-dim", "10"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["generator"]["parameters"] == 623_425
    assert summary["discriminator"]["layers"][0]["output"] == [16, 13, 13]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="only POSIX reports the peak memory of a child process")
def test_the_default_training_needs_less_than_its_memory_limit(tmp_path: Path):
    words = [sys.executable, "-m", "dcgan", "train", "--device", "cpu", "--steps", "3"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    assert kib < 1.5 * 2**20


def test_a_duration_of_none_is_none(tmp_path: Path):
    assert run(["train", "--minutes", "None", "--steps", "1", "--out", str(tmp_path / "r"), *SMALL_FLAGS]) == 0


def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path: Path):
    words = [sys.executable, "-m", "dcgan", "train", "--out", "r", *SMALL_FLAGS]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "r" / "metrics.jsonl"
    deadline = time.time() + 100
    while not (log.exists() and "loss_d" in log.read_text()) and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.rstrip().endswith("dcgan: stopped and saved; continue with: dcgan resume r")
    step = json.loads((tmp_path / "r" / "checkpoint" / "state.json").read_text())["step"]
    assert step > 0
    assert run(["resume", str(tmp_path / "r"), "--steps", str(step + 2)]) == 0


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused(refused, tmp_path: Path):
    tmp_path.chmod(0o500)
    assert "cannot write" in refused("train", "--out", str(tmp_path / "r"))


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31m", "'", '"', "{", "%s", "\udcff"])
def test_a_strange_word_is_refused_in_one_line(refused, value: str):
    """Whatever tyro prints, the user sees one line without control characters."""
    for words in (["train", f"--{value}"], ["train", "--lr", value], ["train", "--g-norm", value], ["sample", value]):
        line = refused(*words)
        assert "\x1b" not in line
        assert "Traceback" not in line
