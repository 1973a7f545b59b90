import base64
import functools
import http.server
import io
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

import dcgan
from dcgan.exporting import web
from dcgan.exporting.half import MAX_LEVELS
from dcgan.images import to_uint8
from dcgan.models.store import save_generator
from dcgan.sampling import model as model_module
from dcgan.sampling.interpolate import principal_directions


@pytest.fixture(scope="module")
def model() -> model_module.Model:
    """Return a model of three named classes, whose images are brighter for later classes."""
    generator = dcgan.Generator(16, 1, 8, norm="none", classes=3)
    with torch.no_grad():
        generator.gen[0][0].weight[16:] = torch.tensor([0.0, 0.3, 0.6]).view(3, 1, 1, 1)
    trained = {"preset": "tiny", "data": "</script><b>", "command": "dcgan train", "classes": ["cat", "<i>dog", "3"]}
    generator.trained = trained
    return model_module.Model(generator.eval().requires_grad_(False), "here")


@pytest.fixture(scope="module")
def pages(model: model_module.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write both kinds of page, with the runtime that npm downloads."""
    if shutil.which("npm") is None:
        pytest.skip("no npm: install Node.js")
    out = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        web.write_web_bundle(model, out / "one.html", single_file=True)
        patch.setenv("PATH", "/nowhere")  # it is in the cache now
        web.write_web_bundle(model, out / "many")
        web.write_web_bundle(model, out / "half.html", single_file=True, half=True)
    return out


@pytest.fixture(scope="module")
def opened(pages: Path, browser: Browser) -> Iterator[Page]:
    """Open the single file from the disk, without a network."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True, locale="en-GB")
    context.set_default_timeout(120_000)  # the machine may be busy
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"file://{pages}/one.html#seed=5&n=6")
    page.wait_for_selector("#play[data-drawn]")
    yield page
    assert errors == []
    context.close()


def canvas_pixels(page: Page) -> np.ndarray:
    """Return what the canvases of the samples show, uint8 (N, H, W)."""
    script = "[...document.querySelectorAll('.sample canvas')].map(c => c.toDataURL())"
    pictures = [base64.b64decode(url.partition(",")[2]) for url in page.evaluate(script)]
    return np.stack([np.asarray(Image.open(io.BytesIO(p)).convert("L")) for p in pictures])


def download(page: Page, button: str) -> bytes:
    """Click a button and return the file that the browser saves."""
    with page.expect_download() as event:
        page.click(f"text={button}")
    return Path(event.value.path()).read_bytes()


def redrawn_pixels(page: Page, act: Callable[[], object]) -> np.ndarray:
    """Do something and return the images after they are drawn again."""
    count = int(page.get_attribute("#play", "data-drawn") or 0)
    act()
    page.wait_for_function(f"Number(document.getElementById('play').dataset.drawn) > {count}")
    return canvas_pixels(page)


def test_the_single_file_draws_from_the_disk_without_a_network(opened: Page, model: model_module.Model):
    pixels = canvas_pixels(opened)
    assert pixels.shape == (6, 28, 28)
    assert opened.get_attribute(".sample >> nth=1", "aria-label") == "Sample 2, class <i>dog"
    assert opened.title() == "dcgan: tiny, </script><b>"
    with np.load(io.BytesIO(download(opened, "Save .npz")), allow_pickle=False) as arrays:
        z, labels, images = arrays["z"], arrays["arr_1"], arrays["arr_0"]
    assert (images[..., 0] == pixels).all()
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    expected = to_uint8(model.generator(torch.from_numpy(z), torch.from_numpy(labels)))
    assert np.abs(images.astype(int) - expected.astype(int)).max() <= 1


def test_half_precision_draws_in_the_browser(pages: Path, browser: Browser, opened: Page):
    page = browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
    page.set_default_timeout(120_000)
    page.goto(f"file://{pages}/half.html#seed=5&n=6")
    page.wait_for_selector("#play[data-drawn]")
    opened.goto(f"file://{pages}/one.html#seed=5&n=6")
    opened.wait_for_selector("#play[data-drawn]")
    half, full = (canvas_pixels(shown).astype(int) for shown in (page, opened))
    page.close()
    assert half.shape == full.shape == (6, 28, 28)
    assert full.std() > 1
    assert 0 < np.abs(half - full).max() <= MAX_LEVELS


def test_a_slider_moves_along_a_principal_direction_by_keyboard_alone(opened: Page, model: model_module.Model):
    opened.focus("input[aria-label='Direction 3']")
    before = canvas_pixels(opened)
    after = redrawn_pixels(opened, lambda: opened.keyboard.press("End"))
    assert (after != before).any()
    assert "moves=0%2C0%2C3" in opened.url
    with np.load(io.BytesIO(download(opened, "Save .npz")), allow_pickle=False) as arrays:
        z, labels = torch.from_numpy(arrays["z"]), torch.from_numpy(arrays["arr_1"])
    direction = principal_directions(model.generator.first_layer_weight())[2]
    unmoved = to_uint8(model.generator(z - 3 * direction, labels))[..., 0]
    assert np.abs(unmoved.astype(int) - before.astype(int)).max() <= 1
    assert (redrawn_pixels(opened, lambda: opened.click("text=Back to the middle")) == before).all()


def test_a_class_is_picked(opened: Page):
    every_class = canvas_pixels(opened)
    for index, name in enumerate(("cat", "<i>dog", "3")):
        picked = redrawn_pixels(opened, lambda name=name: opened.select_option("select", label=name))
        assert (picked[index::3] == every_class[index::3]).all()
        assert (picked != every_class).any()
        assert f"label={index}" in opened.url
    redrawn_pixels(opened, lambda: opened.select_option("select", "every"))


def test_truncation_brings_samples_together(opened: Page):
    opened.focus("input[aria-label='Truncation']")
    wide = canvas_pixels(opened).std(axis=0).mean()
    narrow = redrawn_pixels(opened, lambda: [opened.keyboard.press("ArrowRight") for _ in range(2)])
    assert "truncation=0.1" in opened.url
    assert narrow[::3].std(axis=0).mean() < wide / 2
    redrawn_pixels(opened, lambda: opened.keyboard.press("Home"))


def test_a_walk_between_chosen_samples_is_saved_as_a_gif(opened: Page):
    for number in (1, 4):  # both of the first class
        opened.click(f".sample >> nth={number - 1}")
    assert opened.get_attribute(".sample >> nth=0", "aria-pressed") == "true"
    assert "chosen=0%2C3" in opened.url
    pixels = canvas_pixels(opened)
    with Image.open(io.BytesIO(download(opened, "Save GIF"))) as gif:
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
    with Image.open(io.BytesIO(download(opened, "Save PNG"))) as image:
        assert image.size == (92, 62)
        assert (np.asarray(image.convert("L"))[2:30, 2:30] == canvas_pixels(opened)[0]).all()


def test_the_page_is_shown_in_korean(opened: Page):
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


def test_the_same_address_of_a_served_folder_shows_the_same_pictures(served: str, browser: Browser, opened: Page):
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{served}{opened.url[opened.url.index('#') :]}")
    page.wait_for_selector("#play[data-drawn]")
    assert (canvas_pixels(page) == canvas_pixels(opened)).all()
    assert all(url.startswith((served, "blob:" + served)) for url in requests), requests
    page.close()


def test_the_error_says_what_to_install_if_npm_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: model_module.Model, refused: Callable[..., str]
):
    save_generator(model.generator, tmp_path / "m")
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refused("export", str(tmp_path / "m"), "--format", "web", "--out", str(tmp_path / "page"))
    assert "install Node.js, which brings npm" in line
    assert not (tmp_path / "page").exists()


def test_the_page_names_no_other_server(pages: Path):
    html = (pages / "one.html").read_text()
    own = re.sub(r'<script type="application/gzip".*?</script>', "", html, flags=re.DOTALL)
    assert "http" not in own.replace("http-equiv", "")
    assert "import " not in own.partition('<script type="module">')[2].replace("await import", "")


def test_the_description_of_the_generator_is_json_that_ends_no_script(pages: Path, model: model_module.Model):
    match = re.search(r'id="generator">(.*?)</script>', (pages / "many" / "index.html").read_text())
    assert match
    assert json.loads(match[1]) == web.describe_generator(model)
    assert "<" not in match[1]
