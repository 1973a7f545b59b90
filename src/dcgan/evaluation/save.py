"""Save an evaluation in the run that it belongs to."""

from dcgan.data.location import public_name
from dcgan.evaluation.grids import make_class_grid, make_nearest_grid
from dcgan.evaluation.task import EvaluationTask
from dcgan.files import atomic_folder, write_json
from dcgan.images import Pixels, save_png
from dcgan.metrics.results import Evaluation
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import load
from dcgan.system.console import print_message


def save_evaluation(folder: RunFolder, task: EvaluationTask, evaluation: Evaluation) -> None:
    """Write the metrics of a run's model into the run, with grids of nearest training pictures and of classes.

    If the run cannot be written to, one line says so: the metrics are not lost by it.
    """
    trained = load(folder).trained
    class_grid, row_names = make_class_grid(task.samples, task.extractor)
    origin = {"step": trained.get("step"), "images_seen": trained.get("images_seen"), "rows": list(row_names)}
    try:
        with atomic_folder(folder.evaluation) as temporary:
            names = {"source": public_name(evaluation.source), "data": public_name(evaluation.data)}
            write_json(temporary / "figures.json", origin | evaluation.as_json() | names)
            save_png(nearest_grid(task), temporary / "neighbours.png")
            if row_names:
                save_png(class_grid, temporary / "classes.png")
    except OSError as error:
        if task.show_progress:
            print_message(f"the evaluation is not saved in {folder.path}: {error.strerror}")


def nearest_grid(task: EvaluationTask) -> Pixels:
    """Return a grid (H, W, C) of samples and the training pictures nearest to each."""
    return make_nearest_grid(task.samples, task.extractor, task.open_split("train"))
