import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from dcgan.cache import cache_folder
from dcgan.errors import UserError
from dcgan.exporting import web_runtime
from dcgan.exporting.web_runtime import RUNTIME_FILES, RuntimeFile, runtime_folder


def replace_npm(monkeypatch: pytest.MonkeyPatch, package: dict[str, bytes] | bytes | None) -> None:
    """Replace npm: it packs these files, writes these bytes in the place of an archive, or fails."""

    def pack(command: list[str], cwd: Path, **options: object) -> "subprocess.CompletedProcess[str]":
        assert command[1:3] == ["pack", f"onnxruntime-web@{web_runtime.RUNTIME_VERSION}"]
        archive_path = cwd / f"onnxruntime-web-{web_runtime.RUNTIME_VERSION}.tgz"
        if isinstance(package, bytes):
            archive_path.write_bytes(package)
        elif package is not None:
            with tarfile.open(archive_path, "w:gz") as archive:
                for name, content in package.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return subprocess.CompletedProcess(command, package is None, "", "npm error code ENOTFOUND\nmore")

    monkeypatch.setattr(web_runtime.shutil, "which", lambda name: name)
    monkeypatch.setattr(web_runtime.subprocess, "run", pack)


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (None, "npm cannot download onnxruntime-web .*ENOTFOUND.*: try again with a network connection"),
        (b"no archive", "is damaged"),
        ({"package/README.md": b""}, "is damaged"),
        (
            {file.path_in_package: b"altered" for file in RUNTIME_FILES.values()},
            "is not what this version .* was tested with",
        ),
    ],
)
def test_what_npm_downloads_is_checked(
    package: dict[str, bytes] | bytes | None, message: str, monkeypatch: pytest.MonkeyPatch
):
    replace_npm(monkeypatch, package)
    with pytest.raises(UserError, match=message):
        runtime_folder()
    assert list(cache_folder().iterdir()) == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(monkeypatch: pytest.MonkeyPatch):
    files = {
        name: RuntimeFile(file.path_in_package, hashlib.sha256(name.encode()).hexdigest())
        for name, file in RUNTIME_FILES.items()
    }
    monkeypatch.setattr(web_runtime, "RUNTIME_FILES", files)
    replace_npm(monkeypatch, {file.path_in_package: name.encode() for name, file in files.items()})
    folder = runtime_folder()
    (folder / "ort.wasm").write_bytes(b"damaged")
    assert (runtime_folder() / "ort.wasm").read_bytes() == b"ort.wasm"
    assert sorted(p.name for p in folder.iterdir()) == sorted(RUNTIME_FILES)
