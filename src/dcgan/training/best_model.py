"""Which evaluated generator a run keeps as its model: the best one, unless its samples are copies of training pictures.

Samples become copies gradually: before an evaluation finds copies, more samples than expected are already near to a
training picture. A run therefore remembers the best generator without such an excess, too. If an evaluation finds
copies, that one becomes the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dcgan.errors import UserError
from dcgan.files import current_folder, printable, read_json
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.training.callbacks import Callbacks
from dcgan.training.state import State

TENSOR_PREFIX = "unsuspected/"


@dataclass(frozen=True)
class UnsuspectedModel:
    """A generator of whose samples no more than expected were near to a training picture.

    Attributes:
        tensors: of the averaged generator, by name.
        record: its `step`, `images_seen` and what was `measured` of it: the part of a saved model's origin in which the
            models of a run differ.
    """

    tensors: dict[str, Tensor]
    record: dict[str, Any]

    def saved_tensors(self) -> dict[str, Tensor]:
        """Return its tensors by their names in a checkpoint."""
        return {TENSOR_PREFIX + name: tensor for name, tensor in self.tensors.items()}


def restore_unsuspected_model(
    record: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]
) -> UnsuspectedModel | None:
    """Return the model that a checkpoint holds; None if it holds none, as one of version 0.1.0.

    Args:
        record: `UnsuspectedModel.record`.
        tensors: tensors of the checkpoint, among others those of the model.
    """
    if record is None:
        return None
    own = {name.removeprefix(TENSOR_PREFIX): t for name, t in tensors.items() if name.startswith(TENSOR_PREFIX)}
    return UnsuspectedModel(own, dict(record))


def keep_if_best(
    state: State,
    folder: RunFolder,
    network: nn.Module,
    metric: str,
    origin: dict[str, Any],
    unsuspected: UnsuspectedModel | None,
) -> UnsuspectedModel | None:
    """Save an evaluated generator as the model of the run if it is the best one so far.

    If `state.progress.copies_step` is set, its samples are copies. The unsuspected model is then saved instead; without
    one, the saved model stays, if there is one of a later step than 0.

    Args:
        state: what was evaluated. Its `progress` is told which model is the best.
        folder: where the model is saved.
        network: the averaged generator.
        metric: the key of its distance in `origin["measured"]`.
        origin: how it was trained and what the evaluation found, as a saved model records it.
        unsuspected: the best generator without an excess of near samples so far.

    Returns:
        The best generator without an excess of near samples.
    """
    progress, distance = state.progress, origin["measured"][metric]
    progress.evaluations_since_best += 1
    if progress.copies_step is not None and unsuspected is not None:
        _save_unsuspected(folder, network, origin, unsuspected)
        progress.best_distance, progress.best_step = unsuspected.record["measured"][metric], unsuspected.record["step"]
        return unsuspected
    is_nearer = unsuspected is None or distance < unsuspected.record["measured"][metric]
    if is_nearer and not _has_excess(origin["measured"]):
        record = {name: origin[name] for name in ("step", "images_seen", "measured")}
        unsuspected = UnsuspectedModel(_copy_tensors(network), record)
    is_missing = not current_folder(folder.model).exists()  # someone may have deleted it
    is_better = is_missing or progress.best_distance is None or distance < progress.best_distance
    if is_better and (progress.copies_step is None or not _read_trained(folder).get("step")):
        progress.best_distance, progress.best_step, progress.evaluations_since_best = distance, progress.step, 0
        save_generator(network, folder.model, origin)
    return unsuspected


def _has_excess(measured: Mapping[str, Any]) -> bool:
    """Return whether more samples than expected were near to a training picture. It can be chance."""
    return "near_training" in measured and measured["near_training"] > measured["near_training_expected"]


def _save_unsuspected(
    folder: RunFolder, network: nn.Module, origin: dict[str, Any], unsuspected: UnsuspectedModel
) -> None:
    """Save the unsuspected model as that of the run. The network has its own tensors again at the end."""
    own = _copy_tensors(network)
    network.load_state_dict(unsuspected.tensors)
    save_generator(network, folder.model, origin | unsuspected.record)
    network.load_state_dict(own)


def _copy_tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}


def forget_other_features(
    state: State, folder: RunFolder, callbacks: Callbacks, features_name: str, unsuspected: UnsuspectedModel | None
) -> UnsuspectedModel | None:
    """Forget the best distance if it was measured with other features, as version 0.1.0 did with larger pictures.

    Returns:
        The unsuspected model, if it is not forgotten too.
    """
    measured = _read_trained(folder).get("measured")
    measured_with = measured.get("features") if isinstance(measured, dict) else None
    if state.progress.best_distance is None or not isinstance(measured_with, str) or measured_with == features_name:
        return unsuspected
    state.progress.best_distance = None
    callbacks.on_message(
        f"the model was measured with features {printable(measured_with)}, and this version measures with "
        f"{features_name}: the best model is now the best one from here on"
    )
    return None


def is_of_extra_evaluation(state: State, folder: RunFolder) -> bool:
    """Return whether the saved model is of an evaluation that a longer run would not have made: see `validate`."""
    trained, progress = _read_trained(folder), state.progress
    is_of_this_step = "measured" in trained and trained.get("step") == progress.step
    return is_of_this_step and progress.step != progress.best_step


def _read_trained(folder: RunFolder) -> dict[str, Any]:
    """Return what the saved model says of its training; nothing if the user has removed or changed it."""
    try:
        trained = read_json(folder.model / "config.json").get("trained")
    except UserError:
        return {}
    return trained if isinstance(trained, dict) else {}
