import base64
import functools
import hashlib
import http.server
import io
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

import dcgan
from dcgan import UserError
from dcgan.exporting import web
from dcgan.images import to_uint8
from dcgan.models.store import save_generator
from dcgan.sampling import model as model_module
from dcgan.sampling.interpolate import principal_directions

RUNTIME = web.RUNTIME


@pytest.fixture(scope="module")
def model() -> model_module.Model:
    """Of three classes with names, its brightness following the class."""
    generator = dcgan.Generator(16, 1, 8, norm="none", classes=3)
    with torch.no_grad():
        generator.gen[0][0].weight[16:] = torch.tensor([0.0, 0.3, 0.6]).view(3, 1, 1, 1)
    trained = {"preset": "tiny", "data": "</script><b>", "command": "dcgan train", "classes": ["cat", "<i>dog", "3"]}
    generator.trained = trained
    return model_module.Model(generator.eval().requires_grad_(False), "here")


@pytest.fixture(scope="module")
def pages(model: model_module.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both kinds of page, with the runtime that npm brings."""
    if shutil.which("npm") is None:
        pytest.skip("no npm: install Node.js")
    out = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        web.write_web_bundle(model, out / "one.html", single_file=True)
        patch.setenv("PATH", "/nowhere")  # the second time it is in the cache
        web.write_web_bundle(model, out / "many")
    return out


@pytest.fixture(scope="module")
def opened(pages: Path, browser: Browser) -> Iterator[Page]:
    """The single file, from the disk, with the network off."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True, locale="en-GB")
    context.set_default_timeout(120_000)  # other jobs on the machine may be in the way
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.goto(f"file://{pages}/one.html#seed=5&n=6")
    found.wait_for_selector("#play[data-drawn]")
    yield found
    assert errors == []
    context.close()


def _pixels(shown: Page) -> np.ndarray:
    """What the samples' canvases show, uint8 (N, H, W)."""
    script = "[...document.querySelectorAll('.sample canvas')].map(c => c.toDataURL())"
    pictures = [base64.b64decode(url.partition(",")[2]) for url in shown.evaluate(script)]
    return np.stack([np.asarray(Image.open(io.BytesIO(p)).convert("L")) for p in pictures])


def _saved(shown: Page, button: str) -> bytes:
    with shown.expect_download() as download:
        shown.click(f"text={button}")
    return Path(download.value.path()).read_bytes()


def _after(shown: Page, act: Callable[[], object]) -> np.ndarray:
    """The pictures once they have been drawn again."""
    before = int(shown.get_attribute("#play", "data-drawn") or 0)
    act()
    shown.wait_for_function(f"Number(document.getElementById('play').dataset.drawn) > {before}")
    return _pixels(shown)


def test_the_single_file_draws_from_the_disk_without_a_network(opened: Page, model: model_module.Model):
    pixels = _pixels(opened)
    assert pixels.shape == (6, 28, 28)
    assert opened.get_attribute(".sample >> nth=1", "aria-label") == "Sample 2, class <i>dog"
    assert opened.title() == "dcgan: tiny, </script><b>"
    with np.load(io.BytesIO(_saved(opened, "Save .npz")), allow_pickle=False) as arrays:
        z, labels, found = arrays["z"], arrays["arr_1"], arrays["arr_0"]
    assert (found[..., 0] == pixels).all()
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    expected = to_uint8(model.generator(torch.from_numpy(z), torch.from_numpy(labels)))
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_slider_moves_along_a_principal_direction_by_keyboard_alone(opened: Page, model: model_module.Model):
    opened.focus("input[aria-label='Direction 3']")
    before = _pixels(opened)
    after = _after(opened, lambda: opened.keyboard.press("End"))
    assert (after != before).any()
    assert "moves=0%2C0%2C3" in opened.url
    with np.load(io.BytesIO(_saved(opened, "Save .npz")), allow_pickle=False) as arrays:
        z, labels = torch.from_numpy(arrays["z"]), torch.from_numpy(arrays["arr_1"])
    way = principal_directions(model.generator.first_weight())[2]
    unmoved = to_uint8(model.generator(z - 3 * way, labels))[..., 0]
    assert np.abs(unmoved.astype(int) - before.astype(int)).max() <= 1
    assert (_after(opened, lambda: opened.click("text=Back to the middle")) == before).all()


def test_a_class_is_picked(opened: Page):
    every = _pixels(opened)
    for index, name in enumerate(("cat", "<i>dog", "3")):
        picked = _after(opened, lambda name=name: opened.select_option("select", label=name))
        assert (picked[index::3] == every[index::3]).all()
        assert (picked != every).any()
        assert f"label={index}" in opened.url
    _after(opened, lambda: opened.select_option("select", "every"))


def test_truncation_brings_samples_together(opened: Page):
    opened.focus("input[aria-label='Truncation']")
    wide = _pixels(opened).std(axis=0).mean()
    narrow = _after(opened, lambda: [opened.keyboard.press("ArrowRight") for _ in range(2)])
    assert "truncation=0.1" in opened.url
    assert narrow[::3].std(axis=0).mean() < wide / 2
    _after(opened, lambda: opened.keyboard.press("Home"))


def test_a_walk_between_chosen_samples_is_saved_as_a_gif(opened: Page):
    for number in (1, 4):  # both of the first class
        opened.click(f".sample >> nth={number - 1}")
    assert opened.get_attribute(".sample >> nth=0", "aria-pressed") == "true"
    assert "chosen=0%2C3" in opened.url
    pixels = _pixels(opened)
    with Image.open(io.BytesIO(_saved(opened, "Save GIF"))) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (24, (28, 28), 0)
        frames = []
        for i in range(24):
            gif.seek(i)
            frames.append(np.asarray(gif.convert("L")).astype(int))
    assert (frames[0] == pixels[0]).all()
    assert (frames[12] == pixels[3]).all()
    steps = [np.abs(a - b).max() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    assert max(steps) < np.abs(frames[0] - frames[12]).max()  # no jump on the way
    opened.click("text=Walk between the chosen")
    opened.wait_for_selector("canvas.stage:visible")
    opened.click("text=Stop the walk")
    for number in (1, 4):
        opened.click(f".sample >> nth={number - 1}")


def test_the_grid_is_saved_as_png(opened: Page):
    with Image.open(io.BytesIO(_saved(opened, "Save PNG"))) as image:
        assert image.size == (92, 62)
        assert (np.asarray(image.convert("L"))[2:30, 2:30] == _pixels(opened)[0]).all()


def test_it_speaks_korean(opened: Page):
    opened.click("text=한국어")
    opened.wait_for_selector("text=다른 시드")
    opened.click("text=English")
    opened.wait_for_selector("text=Another seed")


@pytest.fixture
def served(pages: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(pages / "many"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_folder_is_served_and_the_address_brings_the_same_pictures(served: str, browser: Browser, opened: Page):
    shown = browser.new_page()
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(f"{served}{opened.url[opened.url.index('#') :]}")
    shown.wait_for_selector("#play[data-drawn]")
    assert (_pixels(shown) == _pixels(opened)).all()
    assert all(url.startswith((served, "blob:" + served)) for url in asked), asked
    shown.close()


def test_with_neither_npm_nor_cache_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: model_module.Model, refused: Callable[..., str]
):
    save_generator(model.generator, tmp_path / "m")
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused("export", str(tmp_path / "m"), "--format", "web", "--out", str(tmp_path / "page"))
    assert "install Node.js, which brings npm" in line
    assert not (tmp_path / "page").exists()


def _npm(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes] | bytes | None) -> None:
    """A stand-in for npm: packs these files, writes just these bytes, or fails."""

    def pack(command: list[str], cwd: Path, **options: object) -> "subprocess.CompletedProcess[str]":
        assert command[1:3] == ["pack", f"onnxruntime-web@{web.VERSION}"]
        place = cwd / f"onnxruntime-web-{web.VERSION}.tgz"
        if isinstance(files, bytes):
            place.write_bytes(files)
        elif files is not None:
            with tarfile.open(place, "w:gz") as archive:
                for name, content in files.items():
                    about = tarfile.TarInfo(name)
                    about.size = len(content)
                    archive.addfile(about, io.BytesIO(content))
        return subprocess.CompletedProcess(command, files is None, "", "npm error code ENOTFOUND\nmore")

    monkeypatch.setattr(web.shutil, "which", lambda name: name)
    monkeypatch.setattr(web.subprocess, "run", pack)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "npm cannot bring onnxruntime-web .*ENOTFOUND.*: try again with the network on"),
        (b"no archive", "is damaged"),
        ({"package/README.md": b""}, "is damaged"),
        ({place: b"altered" for place, _ in RUNTIME.values()}, "is not what this version of dcgan was checked with"),
    ],
)
def test_what_npm_brings_is_checked(
    files: dict[str, bytes] | bytes | None, message: str, monkeypatch: pytest.MonkeyPatch
):
    _npm(monkeypatch, files)
    with pytest.raises(UserError, match=message):
        web.runtime_folder()
    assert list(web.cache.root().iterdir()) == []


def test_a_damaged_cache_is_fetched_again(monkeypatch: pytest.MonkeyPatch):
    content = {name: name.encode() for name in RUNTIME}
    pinned = {name: (place, hashlib.sha256(content[name]).hexdigest()) for name, (place, _) in RUNTIME.items()}
    monkeypatch.setattr(web, "RUNTIME", pinned)
    _npm(monkeypatch, {place: content[name] for name, (place, _) in pinned.items()})
    folder = web.runtime_folder()
    (folder / "ort.wasm").write_bytes(b"damaged")
    assert (web.runtime_folder() / "ort.wasm").read_bytes() == b"ort.wasm"
    assert sorted(p.name for p in folder.iterdir()) == sorted(RUNTIME)


def test_the_page_names_no_other_place(pages: Path):
    whole = (pages / "one.html").read_text()
    own = re.sub(r'<script type="application/gzip".*?</script>', "", whole, flags=re.DOTALL)
    assert "http" not in own.replace("http-equiv", "")
    assert "import " not in own.partition('<script type="module">')[2].replace("await import", "")
