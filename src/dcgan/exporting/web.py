"""A trained generator -> a web page that draws by itself: ONNX Runtime Web runs it in the visitor's browser."""

import base64
import gzip
import html
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from dcgan.cache import cache_folder, new_cache_entry
from dcgan.errors import UserError
from dcgan.exporting.onnx import check_export_extra, export_onnx
from dcgan.files import atomic_file, atomic_folder, printable, sha256
from dcgan.sampling.interpolate import principal_directions
from dcgan.sampling.model import Model

PACKAGE, VERSION = "onnxruntime-web", "1.23.2"
RUNTIME = {
    "ort.mjs": (
        "package/dist/ort.wasm.min.mjs",
        "69751720f611e37d1ce2fa3c6ebaa80f949014752636c5f8887a63d40feadcc7",
    ),
    "ort-wasm.mjs": (
        "package/dist/ort-wasm-simd-threaded.mjs",
        "90a557d15c02bac4504d95b67f431d8594635ed2a0a62a7f2cd83d090ff91d3e",
    ),
    "ort.wasm": (
        "package/dist/ort-wasm-simd-threaded.wasm",
        "45eaee27761ad883742a8d4b8fce1538d60ce43b51adf1726fafccc59b8c1a15",
    ),
}
"""What is taken of the package: our name -> its place there and the SHA-256 of its content."""
SCRIPTS = ("strings.js", "latents.js", "files.js", "onnx.js", "play.js", "start.js")
"""The page's modules, each after those that it imports."""
DIRECTIONS = 8
POLICY = (
    "default-src 'none'; script-src {own} blob: 'wasm-unsafe-eval'; style-src {own}; img-src blob: data:; "
    "connect-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
"""Of what a browser may do with the page: it fetches from nowhere else."""
FOOTER = (
    "{source} Made with dcgan. Drawn in this browser by ONNX Runtime Web "
    f"{VERSION}, © Microsoft Corporation, MIT License; nothing that you do here leaves it."
)


def write_web_bundle(model: Model, out: Path, *, single_file: bool = False) -> int:
    """Write the play page of a generator: a folder for a web server, or one .html that opens from the disk.

    Returns:
        Its size in bytes.

    Raises:
        UserError: the extra `export` is not installed, the runtime is neither in the cache nor to be had through npm,
            or `out` cannot be written.
    """
    check_export_extra()
    runtime = runtime_folder()
    with tempfile.TemporaryDirectory() as place:
        parts = {"model.onnx": Path(place) / "model.onnx"} | {name: runtime / name for name in RUNTIME}
        export_onnx(model, parts["model.onnx"])
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            return _write_single(model, out, parts) if single_file else _write_folder(model, out, parts)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror}") from None


def describe_generator(model: Model) -> dict[str, Any]:
    """What the play page knows of a generator."""
    directions = principal_directions(model.generator.first_weight())[:DIRECTIONS]
    return {
        "z_dim": model.generator.z_dim,
        "groups": model.generator.groups,
        "shape": list(model.generator.picture_shape),
        "classes": list(model.classes),
        "directions": [[round(value, 6) for value in way] for way in directions.tolist()],
    }


def read_asset(name: str) -> str:
    """The text of one of the package's files for pages."""
    return (files("dcgan.exporting") / "static" / name).read_text(encoding="utf-8")


def _write_folder(model: Model, out: Path, parts: dict[str, Path]) -> int:
    with atomic_folder(out) as aside:
        for name, path in parts.items():
            shutil.copyfile(path, aside / name)
        for name in (*SCRIPTS, "style.css"):
            (aside / name).write_text(read_asset(name), encoding="utf-8")
        page = _page(
            model,
            policy=POLICY.format(own="'self'"),
            style='<link rel="stylesheet" href="style.css">',
            parts="",
            script='<script type="module" src="start.js"></script>',
        )
        (aside / "index.html").write_text(page, encoding="utf-8")
    return sum(path.stat().st_size for path in out.iterdir())


def _write_single(model: Model, out: Path, parts: dict[str, Path]) -> int:
    page = _page(
        model,
        policy=POLICY.format(own="'unsafe-inline'"),
        style=f"<style>\n{read_asset('style.css')}</style>",
        parts="\n".join(_inside(name, path) for name, path in parts.items()),
        script=f'<script type="module">\n{one_script()}</script>',
    )
    with atomic_file(out) as aside:
        aside.write_text(page, encoding="utf-8")
    return out.stat().st_size


def _inside(name: str, path: Path) -> str:
    packed = base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{packed}</script>'


def one_script() -> str:
    """The page's modules in one scope: a browser loads no module from a file beside a page on the disk."""
    whole = "\n".join(read_asset(name) for name in SCRIPTS)
    return re.sub(r"^import .*;\n|^export (?=const|function|async)", "", whole, flags=re.MULTILINE)


def _page(model: Model, **pieces: str) -> str:
    trained = model.trained
    title = f"dcgan: {trained.get('preset', 'a generator')}, {trained.get('data', 'pictures')}"
    source = f"Trained by: {trained['command']}." if trained.get("command") else ""
    known = json.dumps(describe_generator(model)).replace("<", "\\u003c")
    pieces |= {"title": html.escape(printable(title)), "about": known}
    pieces["footer"] = html.escape(FOOTER.format(source=printable(source))).strip()
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: pieces[found[1]], read_asset("page.html"))


def runtime_folder() -> Path:
    """The folder of the cache with the runtime's files, each of the pinned content; npm brings them if need be.

    Raises:
        UserError: they are not there, and npm is not either or cannot bring them.
    """
    folder = cache_folder() / f"{PACKAGE}-{VERSION}"
    if not _is_whole(folder):
        with new_cache_entry(folder.name) as aside:
            _take(_packed(aside), aside)
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        return all(sha256(folder / name) == checksum for name, (_, checksum) in RUNTIME.items())
    except OSError:
        return False


def _packed(folder: Path) -> Path:
    """The package as npm packs it."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"--format web needs {PACKAGE} {VERSION}, once: install Node.js, which brings npm, and try again"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    path = folder / f"{PACKAGE}-{VERSION}.tgz"
    if found.returncode or not path.is_file():
        reason = printable(next(iter(found.stderr.strip().splitlines()), "no word of why"))[:200]
        raise UserError(f"npm cannot bring {PACKAGE} {VERSION} ({reason}): try again with the network on")
    return path


def _take(package: Path, folder: Path) -> None:
    """Unpack what is needed, hold it against its checksum, and drop the rest."""
    try:
        with tarfile.open(package) as archive:
            for name, (place, _) in RUNTIME.items():
                content = archive.extractfile(place)
                if content is not None:
                    (folder / name).write_bytes(content.read())
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise UserError(f"what npm brought as {PACKAGE} {VERSION} is damaged ({error}): try again") from None
    package.unlink()
    if not _is_whole(folder):
        raise UserError(f"what npm brought as {PACKAGE} {VERSION} is not what this version of dcgan was checked with")
