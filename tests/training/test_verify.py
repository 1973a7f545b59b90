import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from dcgan.training.verify import compare_runs
from tests.conftest import SMALL, SMALL_FLAGS

ROOT = Path(__file__).parents[2]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that are forked")


def kill(count: int, seed: int, place: Path) -> str:
    words = [sys.executable, "-m", "tests.kills", str(count), str(seed), str(place)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@forks
@pytest.mark.timeout(900)  # ten seconds where nothing else runs
def test_killed_runs_go_on_to_the_bit(tmp_path: Path):
    assert int(kill(6, 0, tmp_path).split()[0]) >= 6


@forks
@pytest.mark.slow
def test_fifty_killed_runs_go_on_to_the_bit(tmp_path: Path):
    assert int(kill(50, 1, tmp_path).split()[0]) >= 50


@pytest.mark.slow
def test_the_command(cli, tmp_path: Path):
    done = cli("verify-resume", "--json", "--preset", "dcgan", "--steps", "12", "--lr-end", "0.1", *SMALL_FLAGS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["equal"]
    assert 0 <= found["went_on_from"] <= found["killed_after"] < 12
    assert found["tensors"].keys() >= {"state/generator/gen.0.0.weight", "model/gen.0.0.weight"}
    assert list(tmp_path.iterdir()) == []


def test_what_differs_is_named(finished_run: RunFolder, tmp_path: Path):
    hashes, entries = compare_runs(finished_run, finished_run)
    assert entries == len(list(finished_run.log.entries()))
    assert len(set(hashes.values())) > 10
    other = dcgan.train("dcgan", out=tmp_path / "r", steps=7, seed=1, **SMALL)
    with pytest.raises(UserError, match=r"NOT the same .*: model/gen.0.0.bias differs"):
        compare_runs(finished_run, other)


@pytest.mark.parametrize(("change", "message"), [("loss_g", "line 2 of the log differs"), (None, "has 6 lines")])
def test_a_log_that_differs_is_named(finished_run: RunFolder, tmp_path: Path, change: str | None, message: str):
    import shutil

    shutil.copytree(finished_run.path, tmp_path / "r")
    other = RunFolder(tmp_path / "r")
    entries = list(other.log.entries())
    if change:
        entries[1][change] += 1e-12
    other.log.replace(entries if change else entries[:-1])
    with pytest.raises(UserError, match=message):
        compare_runs(finished_run, other)


def test_a_proof_is_as_long_as_its_steps(refused):
    assert "in --steps" in refused("verify-resume", "--epochs", "1")
    assert "must be above 0" in refused("verify-resume", "--steps", "0")
