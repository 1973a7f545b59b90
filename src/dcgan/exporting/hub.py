"""A trained generator in the layout of the Hugging Face Hub, and its upload."""

from http import HTTPStatus
from pathlib import Path

import torch

from dcgan.errors import UserError
from dcgan.exporting.card import SAMPLES_FILE, make_card
from dcgan.files import atomic_folder, error_reason, printable
from dcgan.images import make_grid, save_png
from dcgan.models.store import write_generator
from dcgan.sampling.model import Model, load
from dcgan.system.tensor_files import refuse_unwritable
from dcgan.system.torch_settings import isolate_torch_settings

HUB_FILES = {"config.json", "model.safetensors", "README.md", SAMPLES_FILE}
SAMPLE_COUNT = 64
"""Samples on the picture of the card."""
REASONS = {
    HTTPStatus.UNAUTHORIZED: "it does not know your token: log in with `hf auth login`",
    HTTPStatus.FORBIDDEN: "your token may not write there: give a name of yours, and a token with the right to write",
    HTTPStatus.NOT_FOUND: "there is no such repository, or your token may not see it",
}
"""What answers of the Hub mean for an upload."""

HTTP_LIBRARIES = "httpx", "httpcore", "requests"
"""How the names of the libraries begin that huggingface_hub reaches the network with, in its versions so far."""


@isolate_torch_settings()
def write_hub_folder(model: Model, out: Path, hub_name: str | None = None, license_name: str | None = None) -> None:
    """Write a generator in the Hub's layout: `config.json`, `model.safetensors`, `README.md` and `samples.png`.

    Args:
        model: the generator.
        out: the folder; one that exists is replaced.
        hub_name: `USER/NAME` for the card, if it is known.
        license_name: for the card, see `dcgan.exporting.card.check_license`; None if nobody has said it.

    Raises:
        UserError: the folder cannot be written.
    """
    with refuse_unwritable(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(out) as temporary:
            write_generator(model.generator, temporary, model.trained or None)
            (temporary / "README.md").write_text(make_card(model, hub_name, license_name), encoding="utf-8")
            save_png(make_grid(model.sample(SAMPLE_COUNT, seed=0)), temporary / SAMPLES_FILE)


def check_replaceable(folder: Path, model: Model) -> None:
    """Refuse a folder that is neither empty nor what `write_hub_folder` writes of this generator.

    The same export is tried again after an upload that failed.

    Raises:
        UserError: the folder holds other files, or another generator.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    refused = UserError(f"{folder} is not an empty folder, nor this model as it was exported: give another --out")
    if {path.name for path in folder.iterdir()} != HUB_FILES:
        raise refused
    try:
        there, here = (m.generator.state_dict() for m in (load(folder), model))
    except UserError:
        raise refused from None
    if there.keys() != here.keys() or not all(torch.equal(there[name], here[name]) for name in here):
        raise refused


def push_to_hub(folder: Path, name: str) -> tuple[str, bool]:
    """Upload a saved model's folder to the Hub as `USER/NAME`. A missing repository is created.

    Returns:
        Its address, and whether it is new. In a repository that exists the files of the folder are replaced by one
        commit; what was there stays in its history.

    Raises:
        UserError: there is no network, no user is logged in, or the Hub refuses.
    """
    from huggingface_hub import HfApi  # slow to import: only an upload needs it
    from huggingface_hub.errors import LocalTokenNotFoundError

    hub = HfApi()
    try:
        is_new = not hub.repo_exists(name)
        url = str(hub.create_repo(name, exist_ok=True))
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message="A generator by dcgan")
    except LocalTokenNotFoundError:
        raise UserError(f"{folder} is written, but not pushed: log in with `hf auth login` first") from None
    except Exception as error:  # of the Hub, of its library, and of the HTTP library below that, which has changed
        raise UserError(f"{folder} is written, but not pushed as {printable(name)}: {_explain(error)}") from None
    return url, is_new


def _explain(error: BaseException) -> str:
    """Return why an upload failed. The Hub's library wraps what happens to a single file in an error of its own."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    for link in chain:
        status = getattr(getattr(link, "response", None), "status_code", None)
        if status in REASONS:
            return f"{REASONS[HTTPStatus(status)]} (HTTP {status})"
    if any(type(link).__module__.startswith(HTTP_LIBRARIES) and not hasattr(link, "response") for link in chain):
        return f"the Hub cannot be reached ({error_reason(chain[-1])}): later `hf upload` uploads the folder"
    return error_reason(error)
