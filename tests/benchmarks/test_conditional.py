"""The benchmark of the digit that was asked for: what is measured, and the table."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import conditional, resumable, time_to_quality
from benchmarks.stored_runs import read_runs
from dcgan.metrics import modes
from dcgan.metrics.judge import __main__ as judge_command
from dcgan.metrics.judge.network import Judge


@pytest.mark.slow
def test_a_run_is_measured_once_and_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(conditional, "SAMPLE_COUNT", 200)
    monkeypatch.setattr(conditional, "FAKE_COUNT", 320)
    monkeypatch.setattr(time_to_quality, "SAMPLE_COUNT", 100)
    for module in (judge_command, modes):  # training one takes minutes
        monkeypatch.setattr(module, "train_judge", lambda *_, **__: Judge((1, 28, 28), 10).eval())
    small = resumable.plan(60, 3, conditional=True, g_width=8, d_width=8, groups=20, batch_size=16)
    monkeypatch.setattr(conditional, "plan", lambda *_, **__: replace(small, images=160))
    results = tmp_path / "results.json"
    words = ["conditional", "train", str(tmp_path / "work"), "--seeds", "3", "--results", str(results)]
    for _ in range(2):
        monkeypatch.setattr("sys.argv", words)
        conditional.main()
        monkeypatch.setattr(conditional, "train", None)  # a stored run is not done again
    (run,) = read_runs(results).values()
    package, second = run["asked"]["package"], run["asked"]["second"]
    assert package["real"] > 0.99  # the judge of the package, on the test digits
    assert second["real"] < 0.5  # an untrained one
    assert 0 <= package["samples"] < 0.9  # ten steps are few
    assert run["images_seen"] == 160
    assert run["recall"] < 0.5 < run["frechet"]
    assert not list((tmp_path / "work").glob("960-*"))  # the checkpoint of a finished run
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["conditional", "table", "--results", str(results)])
    conditional.main()
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith(f"| 3 | {package['samples']:.2%}, {second['samples']:.2%} ({package['real']:.2%}, ")
