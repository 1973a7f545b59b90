"""A trained generator in the layout of the Hugging Face Hub, and its upload."""

from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import error_reason
from dcgan.models.store import save_generator
from dcgan.sampling.model import Model


def write_hub_folder(model: Model, out: Path) -> None:
    """Write a generator in the Hub's layout: `config.json`, `model.safetensors` and a model card, `README.md`."""
    save_generator(model.generator, out, model.trained or None)


def push_to_hub(folder: Path, name: str) -> str:
    """Upload a saved model's folder to the Hub as `USER/NAME` and return its URL. A missing repository is created.

    Raises:
        UserError: no user is logged in, or the Hub refuses.
    """
    from huggingface_hub import HfApi  # slow to import: only an upload needs it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    hub = HfApi()
    try:
        url = str(hub.create_repo(name, exist_ok=True))
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message="A generator by dcgan")
    except LocalTokenNotFoundError:
        raise UserError(f"{folder} is written, but not pushed: log in with `hf auth login` first") from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = error_reason(error)
        raise UserError(f"{folder} is written, but the Hub did not accept it as {name}: {reason}") from None
    return url
