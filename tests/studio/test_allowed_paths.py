import os
from pathlib import Path

import pytest

from dcgan.config import join_specs
from dcgan.errors import UserError
from dcgan.studio import allowed_paths
from dcgan.studio.allowed_paths import DataRoots, check_run_files, default_data_roots, hide_paths


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataRoots:
    """Two roots; the current folder is the first of them."""
    for name in ("data/pictures", "more", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "inner").symlink_to(tmp_path / "more")
    monkeypatch.chdir(tmp_path / "data")
    return DataRoots((tmp_path / "data", tmp_path / "more"))


@pytest.mark.parametrize(
    "data", ["mnist", "stacked-mnist", "cifar10", "pictures", "./pictures", ".", "nothing-yet.zip", "inner", "../more"]
)
def test_data_below_the_roots_and_sets_with_a_name_are_read(roots: DataRoots, data: str):
    roots.check(data)


@pytest.mark.parametrize(
    "data",
    [
        *("/proc", "/etc", "/etc/passwd", "/", "..", "../secret", "pictures/../../secret", "link", "link/deeper"),
        *("~", "~root/x", "~nobody-has-this-name/../../../etc", "/proc/self/cwd/../secret", "\udcff/../../.."),
    ],
)
def test_other_data_are_refused_without_being_looked_at(roots: DataRoots, data: str, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:  # undone before the folders of the test are deleted
        patch.setattr(os, "scandir", lambda path: pytest.fail("it was looked at"))
        with pytest.raises(UserError, match="--data-root") as caught:
            roots.check(data)
    assert "\n" not in str(caught.value)
    assert str(roots.paths[0]) not in str(caught.value)


def test_the_default_root_is_the_current_folder_but_never_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert default_data_roots().paths == (tmp_path,)
    monkeypatch.chdir("/")
    assert default_data_roots().paths == ()


@pytest.mark.parametrize("name", ["samples", "model", "checkpoint", "metrics.jsonl", "model/config.json", "anything"])
def test_a_link_in_a_run_that_leads_out_is_refused(tmp_path: Path, name: str):
    run = tmp_path / "runs" / "small"
    (run / "model").mkdir(parents=True)
    check_run_files(tmp_path / "runs", run)
    if name == "model":
        (run / "model").rmdir()
    (run / name).symlink_to("/etc")
    with pytest.raises(UserError, match=f"^{name} is a link that leads out"):
        check_run_files(tmp_path / "runs", run)


def test_a_link_inside_the_folder_of_runs_or_to_nothing_is_no_mistake(tmp_path: Path):
    run = tmp_path / "runs" / "small"
    run.mkdir(parents=True)
    (tmp_path / "runs" / "other" / "samples").mkdir(parents=True)
    (run / "samples").symlink_to("../other/samples")
    (run / "report.html").symlink_to("nothing")
    check_run_files(tmp_path / "runs", run)


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "checkpoint/state.json", ".lock-holder.json"])
def test_a_pipe_in_a_run_is_refused(tmp_path: Path, name: str):
    (tmp_path / "small" / "checkpoint").mkdir(parents=True)
    os.mkfifo(tmp_path / "small" / name)
    with pytest.raises(UserError, match=f"{name} is neither a file nor a folder"):
        check_run_files(tmp_path, tmp_path / "small")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/work/runs/small/config.json is damaged", "small/config.json is damaged"),
        ("cannot read /home/ann/pictures/a.png: denied", "cannot read …/a.png: denied"),
        ("'/home/ann/pictures'", "'…/pictures'"),
        (r"C:\Users\ann\a.png and (\\server\share\b)", "…/a.png and (…/b)"),
        ("cannot write to /work/runs", "cannot write to the folder of runs"),
        ("the loss is 1/2, or 3 / 4 and/or samples/00.png", "the loss is 1/2, or 3 / 4 and/or samples/00.png"),
        ("see http://example.org/a/b", "see http://example.org/a/b"),
    ],
)
def test_errors_name_no_folder_of_this_machine(text: str, expected: str):
    assert hide_paths(text, Path("/work/runs")) == expected


def test_the_home_folder_may_have_a_space(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allowed_paths.Path, "home", lambda: Path("/home/ann lee"))
    assert hide_paths("no /home/ann lee/x/y.png", Path("runs")) == "no …/x/y.png"


def test_each_of_several_sets_is_checked(roots: DataRoots, tmp_path: Path):
    roots.check(join_specs(["mnist", str(tmp_path / "data" / "a")]))
    with pytest.raises(UserError, match="the studio may not read '/etc/secret'"):
        roots.check(join_specs(["mnist", str(tmp_path / "data" / "a"), "/etc/secret"]))
