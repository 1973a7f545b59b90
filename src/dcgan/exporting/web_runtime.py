"""ONNX Runtime Web, which runs the generator in a browser: downloaded once through npm, and kept in the cache."""

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from dcgan.cache import cache_folder, new_cache_entry
from dcgan.errors import UserError
from dcgan.files import printable, sha256

RUNTIME_PACKAGE = "onnxruntime-web"
RUNTIME_VERSION = "1.23.2"
MAX_REASON_CHARS = 200


class RuntimeFile(NamedTuple):
    """A file of the npm package: its path in the package, and the SHA-256 of its content."""

    path_in_package: str
    sha256: str


RUNTIME_FILES = {
    "ort.mjs": RuntimeFile(
        "package/dist/ort.wasm.min.mjs", "69751720f611e37d1ce2fa3c6ebaa80f949014752636c5f8887a63d40feadcc7"
    ),
    "ort-wasm.mjs": RuntimeFile(
        "package/dist/ort-wasm-simd-threaded.mjs", "90a557d15c02bac4504d95b67f431d8594635ed2a0a62a7f2cd83d090ff91d3e"
    ),
    "ort.wasm": RuntimeFile(
        "package/dist/ort-wasm-simd-threaded.wasm", "45eaee27761ad883742a8d4b8fce1538d60ce43b51adf1726fafccc59b8c1a15"
    ),
}
"""The files that the web bundle needs, by their names in the bundle."""


def runtime_folder() -> Path:
    """Return the folder of the cache that holds the runtime's files, downloading them through npm if needed.

    Raises:
        UserError: the files are not in the cache, and npm is missing or cannot download them.
    """
    folder = cache_folder() / f"{RUNTIME_PACKAGE}-{RUNTIME_VERSION}"
    if not _has_pinned_content(folder):
        with new_cache_entry(folder.name) as unfinished:
            _extract_runtime(_download_package(unfinished), unfinished)
    return folder


def _has_pinned_content(folder: Path) -> bool:
    try:
        return all(sha256(folder / name) == file.sha256 for name, file in RUNTIME_FILES.items())
    except OSError:
        return False


def _download_package(folder: Path) -> Path:
    """Download the package through npm into a folder, and return the path of the archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"--format web needs {RUNTIME_PACKAGE} {RUNTIME_VERSION}, once: install Node.js, which brings npm, and try "
            "again"
        )
    command = [npm, "pack", f"{RUNTIME_PACKAGE}@{RUNTIME_VERSION}", "--silent", "--ignore-scripts"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archive = folder / f"{RUNTIME_PACKAGE}-{RUNTIME_VERSION}.tgz"
    if result.returncode or not archive.is_file():
        reason = printable(next(iter(result.stderr.strip().splitlines()), "npm gives no reason"))[:MAX_REASON_CHARS]
        raise UserError(
            f"npm cannot download {RUNTIME_PACKAGE} {RUNTIME_VERSION} ({reason}): try again with a network connection"
        )
    return archive


def _extract_runtime(archive: Path, folder: Path) -> None:
    """Extract the files that are needed, check their content, and remove the archive."""
    package = f"what npm downloaded as {RUNTIME_PACKAGE} {RUNTIME_VERSION}"
    try:
        with tarfile.open(archive) as members:
            for name, file in RUNTIME_FILES.items():
                content = members.extractfile(file.path_in_package)
                if content is not None:
                    (folder / name).write_bytes(content.read())
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise UserError(f"{package} is damaged ({error}): try again") from None
    archive.unlink()
    if not _has_pinned_content(folder):
        raise UserError(f"{package} is not what this version of dcgan was tested with")
