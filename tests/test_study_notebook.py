"""Every cell of DCGAN.ipynb runs, with fewer steps, and the committed notebook has the outputs of a complete run."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

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
