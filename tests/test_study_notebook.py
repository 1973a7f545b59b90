"""Every cell of DCGAN.ipynb runs, with fewer steps, and the committed notebook has the outputs of a complete run."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from dcgan.system import install

PATH = Path(__file__).parent.parent / "DCGAN.ipynb"


@pytest.fixture(scope="module")
def executed():
    notebook = nbformat.read(PATH, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_NOTEBOOK_STEPS", "4")
        NotebookClient(notebook, timeout=200).execute(cwd=PATH.parent)
    return notebook


@pytest.mark.filterwarnings("default")  # the kernel's own libraries warn about event loops
def test_every_cell_runs(executed):
    text = "".join(str(cell.get("outputs", "")) for cell in executed.cells)
    assert "Step 4: Generator loss" in text
    assert "[1, 3, 6, 13, 28]" in text
    assert "[28, 13, 5, 1]" in text
    assert "(16, 28, 28, 1) uint8" in text


def test_the_committed_notebook_has_the_outputs_of_a_complete_run():
    cells = [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    assert "Step 6000: Generator loss" in "".join(str(cell.outputs) for cell in cells)
    assert sum("image/png" in str(cell.outputs) for cell in cells) >= 5


def test_the_sections_have_the_order_of_the_document():
    text = PATH.read_text(encoding="utf-8")
    order = [
        "데이터",
        "Vanilla GAN의 한계",
        "기본원리",
        "Generator)",
        "Discriminator)",
        "Loss 함수",
        "초기화",
        "Training)",
        "샘플 이미지",
        "엔진으로 같은 학습",
    ]
    positions = [text.index(heading) for heading in order]
    assert positions == sorted(positions)


def test_pictures_have_the_order_of_the_document():
    """Reals, then what the generator draws, then the losses."""
    text = "".join(cell.source for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code")
    positions = [text.index(words) for words in ('print("real:")', 'print("fake:")', 'label="Loss_D"')]
    assert positions == sorted(positions)


def test_every_section_is_in_both_languages():
    for cell in nbformat.read(PATH, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert (
                re.search(r"[가-힣]{2,}[가-힣 ,.]*(니다|세요)", cell.source)
                or "더 배우기" in cell.source
                or (cell.source.startswith("What came after"))
            ), cell.source[:60]


def run_first_cell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the first cell where dcgan is not installed; return what pip would be given."""
    cell = next(cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code")
    assert install.SOURCE in cell.source
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    names: dict[str, Any] = {"installed": []}
    exec(re.sub(r"%pip install .*", "installed.append(source)", cell.source), names)
    return names["installed"]


def test_the_first_cell_says_what_to_do_where_nothing_can_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="upload its wheel"):
        run_first_cell(monkeypatch)


@pytest.mark.parametrize(
    ("file", "expected"), [("dcgan-0.2.0-py3-none-any.whl", "dcgan-0.2.0-py3-none-any.whl"), ("pyproject.toml", ".")]
)
def test_the_first_cell_installs_a_wheel_or_a_clone(
    file: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).touch()
    assert run_first_cell(monkeypatch) == [expected]
    assert "torch==" in (tmp_path / "constraints.txt").read_text()
