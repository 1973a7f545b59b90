"""Which evaluated generator a run keeps as its model: the best one, unless its samples are copies of training pictures.

Samples become copies gradually: more of them than expected are near to a training picture before a search is certain.
While the best generator is such a one, the best of the others is kept beside it, and takes its place when an evaluation
is certain.
"""

import math
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from dcgan.errors import UserError
from dcgan.files import atomic_folder, printable, read_json
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.training.snapshot import RunWriter, training_origin
from dcgan.training.state import State


def keep_if_best(state: State, writer: RunWriter, network: nn.Module, metric: str, measured: dict[str, Any]) -> None:
    """Keep an evaluated generator as the model if it is the best one so far.

    If `state.progress.copies_step` is set, its samples are copies: it is kept only if there is no earlier one.

    Args:
        state: what was evaluated.
        writer: where the model is kept.
        network: the averaged generator.
        metric: the key of its distance in `measured`.
        measured: what the evaluation found, as it is stored in the model.
    """
    progress, folder, kept = state.progress, writer.folder, _read_measured(writer.folder.model)
    distance, origin = measured[metric], training_origin(state, writer.custom_names) | {"measured": measured}
    is_suspicious = _is_suspicious(measured)
    progress.evaluations_since_best += 1
    if progress.copies_step is not None and _read_trained(folder.model).get("step"):
        _restore_earlier_model(state, folder, metric)
    elif progress.best_distance is None or distance < progress.best_distance:
        progress.best_distance, progress.best_step, progress.evaluations_since_best = distance, progress.step, 0
        if is_suspicious and metric in kept and not _is_suspicious(kept):
            _copy_model(folder.model, folder.earlier_model)
        save_generator(network, folder.model, origin)
        if not is_suspicious:
            shutil.rmtree(folder.earlier_model, ignore_errors=True)
    elif not is_suspicious and distance < _read_measured(folder.earlier_model).get(metric, -math.inf):
        save_generator(network, folder.earlier_model, origin)


def _is_suspicious(measured: dict[str, Any]) -> bool:
    """Return whether more samples were near to a training picture than without copies, be it by chance."""
    return bool(measured.get("near_training", 0) > measured.get("near_training_expected", 1))


def _restore_earlier_model(state: State, folder: RunFolder, metric: str) -> None:
    """Make the best model that is not suspicious the model of the run, if one is kept beside it."""
    progress, measured = state.progress, _read_measured(folder.earlier_model)
    if metric in measured:
        progress.best_distance, progress.best_step = measured[metric], _read_trained(folder.earlier_model)["step"]
        _copy_model(folder.earlier_model, folder.model)
        shutil.rmtree(folder.earlier_model, ignore_errors=True)


def _copy_model(source: Path, target: Path) -> None:
    with atomic_folder(target) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)


def forget_other_features(state: State, writer: RunWriter, features_name: str) -> None:
    """Forget the best distance if it was measured with other features, as version 0.1.0 did with larger pictures."""
    measured_with = _read_measured(writer.folder.model).get("features")
    if state.progress.best_distance is None or not isinstance(measured_with, str) or measured_with == features_name:
        return
    state.progress.best_distance = None
    writer.callbacks.on_message(
        f"the model was measured with features {printable(measured_with)}, and this version measures with "
        f"{features_name}: the best model is now the best one from here on"
    )


def _read_trained(model: Path) -> dict[str, Any]:
    """Return what a saved model says of its training; nothing if the user has removed or changed it."""
    try:
        trained = read_json(model / "config.json").get("trained")
    except UserError:
        return {}
    return trained if isinstance(trained, dict) else {}


def _read_measured(model: Path) -> dict[str, Any]:
    """Return what the evaluation of a saved model found; nothing if it was not evaluated."""
    measured = _read_trained(model).get("measured")
    return measured if isinstance(measured, dict) else {}
