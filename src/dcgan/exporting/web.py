"""A trained generator as a web page: ONNX Runtime Web runs the generator in the visitor's browser."""

import base64
import gzip
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dcgan.errors import UserError
from dcgan.exporting.onnx import check_export_extra, export_onnx
from dcgan.exporting.web_runtime import RUNTIME_FILES, RUNTIME_VERSION, runtime_folder
from dcgan.files import atomic_file, atomic_folder, printable, write_reason
from dcgan.sampling.interpolate import principal_directions
from dcgan.sampling.model import Model
from dcgan.system.torch_settings import isolate_torch_settings
from dcgan.templates import load_template, read_package_text

SCRIPTS = ("strings.js", "latents.js", "files.js", "onnx.js", "play.js", "start.js")
"""The page's modules, each after the modules that it imports."""
MAX_DIRECTIONS = 8
"""Principal directions of the latent space that the page has a slider for."""
DIRECTION_DECIMALS = 6


@isolate_torch_settings()
def write_web_bundle(model: Model, out: Path, *, single_file: bool = False, half: bool = False) -> int:
    """Write the play page of a generator: a folder for a web server, or one .html that opens from the disk.

    With `half`, the generator is in half precision, see `dcgan.exporting.half`.

    Returns:
        Its size in bytes.

    Raises:
        UserError: the extra `export` is not installed, the runtime is not in the cache and cannot be downloaded, or
            `out` cannot be written.
    """
    check_export_extra()
    runtime = runtime_folder()
    with tempfile.TemporaryDirectory() as temporary:
        model_path = Path(temporary) / "model.onnx"
        export_onnx(model, model_path, half=half)
        files = {model_path.name: model_path} | {name: runtime / name for name in RUNTIME_FILES}
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            return _write_single_file(model, out, files) if single_file else _write_folder(model, out, files)
        except OSError as error:
            raise UserError(f"cannot write {out}: {write_reason(error)}") from None


@isolate_torch_settings()
def describe_generator(model: Model) -> dict[str, Any]:
    """Return what the play page needs to know of a generator, as JSON types."""
    directions = principal_directions(model.generator.first_layer_weight())[:MAX_DIRECTIONS]
    return {
        "z_dim": model.generator.z_dim,
        "groups": model.generator.groups,
        "shape": list(model.generator.picture_shape),
        "classes": list(model.classes),
        "directions": [[round(value, DIRECTION_DECIMALS) for value in vector] for vector in directions.tolist()],
    }


def _write_folder(model: Model, out: Path, files: dict[str, Path]) -> int:
    with atomic_folder(out) as temporary:
        for name, path in files.items():
            shutil.copyfile(path, temporary / name)
        for name in (*SCRIPTS, "style.css"):
            (temporary / name).write_text(_read_static(name), encoding="utf-8")
        (temporary / "index.html").write_text(_render_page(model), encoding="utf-8")
    return sum(path.stat().st_size for path in out.iterdir())


def _write_single_file(model: Model, out: Path, files: dict[str, Path]) -> int:
    embedded_files = {name: _encode(path) for name, path in files.items()}
    with atomic_file(out) as temporary:
        temporary.write_text(_render_page(model, embedded_files), encoding="utf-8")
    return out.stat().st_size


def _encode(path: Path) -> str:
    """Return a file as gzip in base64."""
    return base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()


def _render_page(model: Model, embedded_files: dict[str, str] | None = None) -> str:
    """Return the page as HTML: a single file if the files that it needs are embedded, else one beside its files."""
    trained = model.trained
    return load_template("dcgan.exporting", "static", "page.html").render(
        title=printable(f"dcgan: {trained.get('preset', 'a generator')}, {trained.get('data', 'pictures')}"),
        command=printable(str(trained.get("command") or "")),
        generator=describe_generator(model),
        runtime_version=RUNTIME_VERSION,
        is_single_file=embedded_files is not None,
        embedded_files=embedded_files or {},
        style=_read_static("style.css"),
        script=_join_scripts(),
    )


def _join_scripts() -> str:
    """Return the page's modules as one: a browser loads no module from beside a page that is opened from the disk."""
    text = "\n".join(_read_static(name) for name in SCRIPTS)
    return re.sub(r"^import .*;\n|^export (?=const|function|async)", "", text, flags=re.MULTILINE)


def _read_static(name: str) -> str:
    return read_package_text("dcgan.exporting", "static", name)
