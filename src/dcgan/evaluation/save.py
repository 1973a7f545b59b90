"""Save an evaluation in the run that it belongs to, and what is to be looked at in any folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcgan.data.location import public_data_name, public_name
from dcgan.errors import UserError
from dcgan.evaluation.copies import CopyCheck, write_nearest_table
from dcgan.evaluation.grids import make_class_grid, make_group_grid, make_nearest_grid
from dcgan.evaluation.task import EvaluationTask
from dcgan.files import atomic_folder, printable, write_json, write_reason
from dcgan.images import Pixels, make_grid, save_png
from dcgan.metrics.reference import choose_rows
from dcgan.metrics.results import Evaluation
from dcgan.run.folder import RunFolder
from dcgan.system.console import print_message

REAL_SHEET_COUNT, REAL_SHEET_COLUMNS = 64, 8
"""Real pictures on their sheet, and in a row of it."""


def save_evaluation(
    folder: RunFolder, task: EvaluationTask, evaluation: Evaluation, check: CopyCheck | None = None
) -> None:
    """Write the metrics of a run's model into the run, with its sheets.

    If the run cannot be written to, one line says so: the metrics are not lost by it.
    """
    trained = task.samples.trained  # a run in training may have replaced its model since
    try:
        with atomic_folder(folder.evaluation) as temporary:
            rows = _write_sheets(temporary, task, check)
            origin = {"step": trained.get("step"), "images_seen": trained.get("images_seen"), **rows}
            names = {"source": public_name(evaluation.source), "data": public_data_name(evaluation.data)}
            write_json(temporary / "figures.json", origin | evaluation.as_json() | names)
    except OSError as error:
        if task.show_progress:
            print_message(f"the evaluation is not saved in {folder.path}: {error.strerror}")


def make_sheets_folder(folder: Path) -> None:
    """Make the folder that `save_sheets` writes into, so that one that cannot be made is refused before any work.

    Raises:
        UserError: it cannot be made, or is a file.
    """
    with _refuse_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)


def save_sheets(folder: Path, task: EvaluationTask, check: CopyCheck | None) -> None:
    """Write what is to be looked at into a folder that exists.

    Raises:
        UserError: the folder cannot be written to.
    """
    with _refuse_unwritable(folder):
        write_json(folder / "rows.json", _write_sheets(folder, task, check))


@contextmanager
def _refuse_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write the sheets to {printable(str(folder))}: {write_reason(error)}") from None


def _write_sheets(folder: Path, task: EvaluationTask, check: CopyCheck | None) -> dict[str, list[str]]:
    """Write the sheets, and the table of nearest training pictures.

    Returns:
        The names of the rows of `classes.png` as `rows`, and of `groups.png` as `group_rows`.
    """
    save_png(nearest_grid(task), folder / "neighbours.png")
    save_png(real_sheet(task), folder / "reals.png")
    if check is not None:
        save_png(check.sheet, folder / "copies.png")
        write_nearest_table(check, folder / "nearest.csv")
    names = {}
    for key, file_name, (grid, row_names) in (
        ("rows", "classes.png", make_class_grid(task.samples, task.extractor)),
        ("group_rows", "groups.png", make_group_grid(task.samples)),
    ):
        names[key] = list(row_names)
        if row_names:
            save_png(grid, folder / file_name)
    return names


def nearest_grid(task: EvaluationTask) -> Pixels:
    """Return a grid (H, W, C) of samples and the training pictures nearest to each."""
    return make_nearest_grid(task.samples, task.extractor, task.open_split("train"))


def real_sheet(task: EvaluationTask) -> Pixels:
    """Return a grid (H, W, C) of real pictures that the samples are compared with."""
    rows = choose_rows(len(task.real_images), REAL_SHEET_COUNT)
    return make_grid(task.real_images.pixels[rows].permute(0, 2, 3, 1).numpy(), columns=REAL_SHEET_COLUMNS)
