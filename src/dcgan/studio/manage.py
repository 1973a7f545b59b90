"""What a visitor changes of a run besides its training: its name, a note, and that it is there at all."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import atomic_file, printable
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.studio.runs import MAX_NAME_CHARS, NOTE_NAME, RunStore
from dcgan.studio.trainings import RECORDS_FOLDER, Trainings

RUN_NAME = re.compile(rf"[^\W_][\w.+-]{{0,{MAX_NAME_CHARS - 1}}}")
"""A name that is no path, no hidden file, and needs no quotes."""


def rename_run(store: RunStore, trainings: Trainings, name: str, new_name: str) -> None:
    """Give a run another name.

    Raises:
        NotFoundError: no run has this name.
        UserError: it trains, or the new name cannot be used or is taken.
    """
    if not RUN_NAME.fullmatch(new_name):
        raise UserError(
            f"a name has up to {MAX_NAME_CHARS} letters, digits and . _ + -, and begins with a letter or a digit"
        )
    with trainings.only_start():
        folder = _idle_run(store, trainings, name)
        if os.path.lexists(store.path / new_name) or trainings.training(new_name) is not None:
            raise UserError(f"there is already something of the name {new_name}")
        with lock_run(folder.path):
            pass  # nobody trains it: on Windows, a folder whose lock is open cannot be renamed
        folder.path.rename(store.path / new_name)
        records = store.path / RECORDS_FOLDER
        if (records / name).is_dir():
            (records / name).rename(records / new_name)


def delete_run(store: RunStore, trainings: Trainings, name: str, repeated_name: str) -> None:
    """Delete a run with everything in its folder.

    Raises:
        NotFoundError: no run has this name.
        UserError: it trains, or the name was not repeated.
    """
    if repeated_name != name:
        raise UserError("the name was not repeated: nothing is deleted")
    with trainings.only_start():
        folder = _idle_run(store, trainings, name)
        with lock_run(folder.path):
            pass
        # First out of the way, in one step: a run that is half deleted is never shown.
        grave = Path(tempfile.mkdtemp(prefix=".deleted-", dir=store.path / RECORDS_FOLDER))
        folder.path.rename(grave / "run")
        trainings.forget(name)
    shutil.rmtree(grave, ignore_errors=True)


def write_note(store: RunStore, name: str, text: str) -> None:
    """Write a note about a run into its folder, or remove it if the text is empty.

    Raises:
        NotFoundError: no run has this name.
    """
    path = store.run(name).path / NOTE_NAME
    if not text.strip():
        path.unlink(missing_ok=True)
        return
    with atomic_file(path) as temporary:
        temporary.write_text(text.strip() + "\n", encoding="utf-8")


def _idle_run(store: RunStore, trainings: Trainings, name: str) -> RunFolder:
    folder = store.run(name)
    if trainings.is_running(name):
        raise UserError(f"{printable(name)} is running: stop it first")
    return folder
