from collections.abc import Callable
from pathlib import Path

import pytest

import dcgan
from dcgan.cli.main import run
from dcgan.run.folder import RunFolder


def test_the_layout_of_the_hub(finished_run: RunFolder, tmp_path: Path):
    assert run(["export", str(finished_run.path), "--format", "safetensors", "--out", str(tmp_path / "hub")]) == 0
    assert sorted(p.name for p in (tmp_path / "hub").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (dcgan.load(tmp_path / "hub").sample(4) == dcgan.load(finished_run).sample(4)).all()
    assert "unconditional-image-generation" in (tmp_path / "hub" / "README.md").read_text()


class FakeHub:
    """Records what is uploaded."""

    calls: list[tuple[str, ...]]

    def create_repo(self, repo_id: str, *, exist_ok: bool) -> str:
        assert exist_ok
        FakeHub.calls = [("create", repo_id)]
        return f"hub://{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        FakeHub.calls.append(("upload", repo_id, *sorted(p.name for p in folder_path.iterdir())))


def test_a_push_uploads_the_folder_to_the_hub(
    finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("huggingface_hub.HfApi", FakeHub)
    words = ["export", str(finished_run.path), "--format", "safetensors", "--push", "somebody/digits"]
    assert run([*words, "--out", str(tmp_path / "hub")]) == 0
    assert "hub://somebody/digits" in capsys.readouterr().out
    assert FakeHub.calls == [
        ("create", "somebody/digits"),
        ("upload", "somebody/digits", "README.md", "config.json", "model.safetensors"),
    ]


@pytest.mark.parametrize("name", ["somebody/digits", "no name at all/ /"])
def test_a_push_that_fails_says_why(
    name: str, finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "")
    words = [
        "export",
        str(finished_run.path),
        "--format",
        "safetensors",
        "--push",
        name,
        "--out",
        str(tmp_path / "hub"),
    ]
    assert "is written, but" in refused(*words)
