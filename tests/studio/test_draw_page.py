"""The page Draw with models of other pictures than digits, in a real browser."""

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, Route

import dcgan
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.sampling.invert import read_image
from tests.studio.conftest import Server, wait_for


def _make_model(folder: Path, colors: list[float]) -> None:
    """Save a generator whose pictures are of these colors, before tanh, for the most part; its run was padded."""
    generator = dcgan.Generator(8, len(colors), 6, norm="none").eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("bias") and parameter.shape == (len(colors),):
                parameter.copy_(torch.tensor(colors))
    generator.trained = {"data": "mnist", "fit": "pad"}
    save_generator(generator, folder / "model")
    (folder / "config.json").write_text((folder.parent / "small" / "config.json").read_text())


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    shutil.copytree(finished_run.path, runs / "small")
    for name, colors in (("colored", [2.0, 2.0, 2.0]), ("transparent", [0.0, 0.0, 0.0, -4.0])):
        (runs / name).mkdir()
        _make_model(runs / name, colors)
    server = Server(runs)
    yield server
    server.stop()


def _board(page: Page) -> np.ndarray:
    """Return what is on the board, (H, W, 4)."""
    url = page.evaluate("document.querySelector('canvas.board').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGBA"))


def _upload(page: Page, image: Image.Image) -> None:
    file = io.BytesIO()
    image.save(file, "PNG")
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": file.getvalue()})


def test_the_board_of_a_color_model_has_its_background_and_a_color(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/colored")
    page.wait_for_selector("canvas.board")
    background = _board(page)[0, 0, :3]
    assert background.min() > 200  # as light as what the model draws
    page.get_by_label("Color", exact=True).fill("#ff0000")
    box = page.locator("canvas.board").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    middle = _board(page)[140, 140, :3]
    assert middle.tolist() == [255, 0, 0]
    page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")
    page.click("text=Clear")
    assert (_board(page)[:, :, :3] == background).all()
    assert page.inner_text(".result") == ""


def test_an_upload_is_padded_or_cut_as_the_training_was(page: Page, server: Server):
    wide = Image.new("RGB", (60, 20), (0, 200, 0))
    wide.paste((200, 0, 0), (0, 0, 20, 20))
    page.goto(f"{server.address}#/draw/colored")  # padded
    page.wait_for_selector("canvas.board")
    _upload(page, wide)
    page.wait_for_selector("[data-found]")
    board = _board(page)
    assert board[5, 140, :3].tolist() == [0, 0, 0]
    assert board[140, 5, :3].tolist() == [200, 0, 0]
    page.goto(f"{server.address}#/draw/small")  # cut to the middle, in gray
    wait_for(lambda: page.locator("[data-found]").count() == 0 and page.locator("canvas.board").count())
    _upload(page, wide.convert("L"))
    page.wait_for_selector("[data-found]")
    assert np.ptp(_board(page)[:, :, 0]) < 20  # its right and left thirds are cut off


def _make_picture(kind: str) -> Image.Image:
    """Make a wide picture: a red half beside one that is transparent, half transparent or green."""
    picture = Image.new("RGBA", (120, 60), {"transparent": (9, 9, 200, 0), "half": (9, 9, 200, 128)}.get(kind, "green"))
    picture.paste((200, 0, 0), (0, 0, 60, 60))
    return picture


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("colored", kind) for kind in ("transparent", "half", "opaque")),
        *(("transparent", kind) for kind in ("half", "opaque")),
        ("small", "transparent"),
    ],
)
def test_a_file_is_given_to_the_model_as_the_command_invert_reads_it(
    page: Page, server: Server, tmp_path: Path, name: str, kind: str
):
    """Two are padded, and `small` is cut."""
    picture = _make_picture(kind)
    picture.save(tmp_path / "x.png")
    model = dcgan.load(server.runs / name)
    expected, _ = read_image(model, tmp_path / "x.png")
    page.goto(f"{server.address}#/draw/{name}")
    page.wait_for_selector("canvas.board")
    with page.expect_request("**/invert") as sent:
        _upload(page, picture)
    pixels = np.frombuffer(base64.b64decode(sent.value.post_data_json["pixels"]), np.uint8).reshape(expected.shape)
    difference = np.abs(pixels.astype(int) - expected)
    assert np.median(difference) <= 1
    assert difference.mean() < 4  # the filters differ at the edge between the halves
    page.wait_for_selector("[data-found]")


def test_the_board_of_a_model_with_transparency_is_transparent_at_first(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/transparent")
    page.wait_for_selector("canvas.board")
    assert _board(page)[:, :, 3].max() == 0
    assert page.input_value("input[type=color]") == "#000000"  # it is seen on white
    with page.expect_request("**/invert") as sent:
        page.locator("canvas.board").click()
        page.click("text=Find the nearest")
    pixels = np.frombuffer(base64.b64decode(sent.value.post_data_json["pixels"]), np.uint8).reshape(-1, 4)
    assert (pixels[0].tolist(), pixels[:, 3].max() > 100) == ([0, 0, 0, 0], True)


def test_a_light_picture_is_inverted_for_a_model_on_black(page: Page, server: Server):
    picture = Image.new("L", (28, 28), 255)
    picture.paste(0, (10, 4, 18, 24))
    page.goto(f"{server.address}#/draw/mnist-dcgan")
    page.wait_for_selector("canvas.board")
    _upload(page, picture)
    page.wait_for_selector("text=The picture was inverted")
    assert _board(page)[5, 5, 0] == 0
    assert _board(page)[140, 140, 0] == 255


def test_a_gray_model_is_given_a_gray_picture_and_the_board_shows_it(page: Page, server: Server):
    picture = Image.new("RGB", (28, 28), (0, 0, 60))
    picture.paste((255, 0, 0), (10, 4, 18, 24))
    page.goto(f"{server.address}#/draw/mnist-dcgan")
    page.wait_for_selector("canvas.board")
    _upload(page, picture)
    page.wait_for_selector("[data-found]")
    board = _board(page)[:, :, :3].astype(int)
    assert np.ptp(board, axis=2).max() == 0
    assert board[140, 140, 0] == 76  # the luma of red


def _nearest(page: Page) -> str:
    return page.evaluate("document.querySelector('figure:nth-child(2) canvas').toDataURL()")


@pytest.mark.parametrize("is_file", [False, True])
def test_a_drawing_and_its_result_stay_in_another_language_and_after_the_page_play(
    page: Page, server: Server, is_file: bool
):
    page.goto(f"{server.address}#/draw/colored")
    page.wait_for_selector("canvas.board")
    page.get_by_label("Color", exact=True).fill("#ff0000")
    page.locator("canvas.board").click()
    if is_file:
        _upload(page, Image.new("RGB", (20, 60), (0, 200, 0)))
    else:
        page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")
    before, found = _board(page), _nearest(page)
    page.click("text=한국어")
    page.wait_for_selector("h2:text-is('그리기')")
    page.wait_for_selector(".result:has-text('찾았습니다')")
    assert (_board(page) == before).all()
    assert _nearest(page) == found
    assert page.input_value("input[type=color]") == "#ff0000"
    page.click("text=여기서부터 걸어 보기")
    page.wait_for_selector("[data-drawn]")
    page.go_back()
    page.wait_for_selector(".result:has-text('찾았습니다')")
    assert (_board(page) == before).all()
    page.click("text=지우기")
    page.click("text=English")
    page.wait_for_selector("h2:text-is('Draw')")
    page.click("text=Find the nearest")
    page.wait_for_selector("text=Draw something first.")
    page.goto(f"{server.address}#/draw/small")  # another model has another board
    page.wait_for_selector("canvas.board")


def test_a_search_that_is_not_answered_begins_again_in_another_language(page: Page, server: Server):
    waiting: list[Route] = []
    page.route("**/invert", lambda route: route.continue_() if waiting else waiting.append(route))
    page.goto(f"{server.address}#/draw/small")
    page.wait_for_selector("canvas.board")
    page.locator("canvas.board").click()
    page.click("text=Find the nearest")
    wait_for(lambda: not page.wait_for_timeout(100) and waiting)
    page.click("text=한국어")
    page.wait_for_selector(".result:has-text('찾았습니다')")
    waiting[0].abort()
    page.wait_for_timeout(300)
    assert "찾았습니다" in page.inner_text(".result")


def test_drawing_by_keyboard(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/mnist-dcgan")
    page.focus("canvas.board")
    for key in ("ArrowUp", "ArrowUp", " ", "ArrowDown", "ArrowDown", "ArrowDown", " ", "ArrowRight"):
        page.keyboard.press(key)
    board = _board(page)[:, :, 0]
    assert board[140, 140] == 255
    assert board[:, 200].max() == 0  # the pen was lifted
    page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")
