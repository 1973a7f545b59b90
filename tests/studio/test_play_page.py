"""The page Play beyond seeds and sliders, in a real browser."""

import io
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route

from dcgan.models import upsample
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from tests.studio.conftest import Server, wait_for


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    for name in ("small", "styled"):
        shutil.copytree(finished_run.path, runs / name)
    save_generator(upsample.Generator(32, (3, 16, 16), 4), runs / "styled" / "model", {})
    server = Server(runs)
    yield server
    server.stop()


def _saved(page: Page, button: str) -> bytes:
    with page.expect_download() as download:
        page.click(f".panel button:text-is('{button}')")
    return download.value.path().read_bytes()


def test_pictures_fill_the_width_and_directions_show_both_ends(page: Page, server: Server):
    page.goto(f"{server.address}#/play/mnist-dcgan")
    page.wait_for_selector("[data-drawn]")
    assert page.locator(".sample").first.bounding_box()["width"] > 80  # four of sixteen beside each other
    ends = page.evaluate("[...document.querySelectorAll('canvas.end')].map(c => c.toDataURL())")
    assert len(set(ends)) == len(ends) == 16
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.locator(".sample").first.bounding_box()["width"] > 140


def test_favourites_are_kept_with_their_latents_and_saved(page: Page, server: Server):
    page.goto(f"{server.address}#/play/small")
    page.wait_for_selector("[data-drawn]")
    for i in (1, 4):
        page.click(f".sample >> nth={i}")
    page.click("text=Keep the chosen samples")
    page.wait_for_selector(".favourites li >> nth=1")
    page.reload()
    page.wait_for_selector(".favourites li >> nth=1")
    with np.load(io.BytesIO(_saved(page, "Save .npz"))) as arrays:
        assert arrays["arr_0"].shape == (2, 28, 28, 1)
        assert arrays["z"].shape == (2, 8)
    with Image.open(io.BytesIO(_saved(page, "Save GIF"))) as film:
        assert film.n_frames == 24
    assert _saved(page, "Save PNG").startswith(b"\x89PNG")
    page.click("[aria-label='Remove favourite 1']")
    wait_for(lambda: page.locator(".favourites li").count() == 1)


def test_favourites_of_two_tabs_and_of_former_classes(page: Page, server: Server):
    page.goto(f"{server.address}#/play/mnist-cgan?n=4&chosen=1")
    page.wait_for_selector("[data-drawn]")
    page.click("text=Keep the chosen samples")
    page.wait_for_selector(".favourites li")
    # Another tab keeps one more; two others are of a model that had more classes.
    page.evaluate(
        """() => {
        const key = "dcgan.favourites.mnist-cgan";
        const [one] = JSON.parse(localStorage.getItem(key));
        const others = [{ ...one, label: 2 }, { ...one, label: 10 }, { ...one, mix: { label: 10, share: 0.5 } }];
        localStorage.setItem(key, JSON.stringify([one, ...others]));
        }"""
    )
    page.click("text=Keep the chosen samples")
    wait_for(lambda: page.locator(".favourites li").count() == 3)
    page.evaluate("() => { const first = document.querySelector('.favourites button'); first.click(); first.click(); }")
    wait_for(lambda: page.locator(".favourites li").count() == 2)
    labels = "JSON.parse(localStorage.getItem('dcgan.favourites.mnist-cgan')).map(({ label }) => label)"
    assert page.evaluate(labels) == [2, 1]


def test_the_discriminator_is_asked_about_the_samples(page: Page, server: Server):
    page.goto(f"{server.address}#/play/small?n=4")
    page.wait_for_selector("[data-drawn]")
    page.click("text=Ask it about these samples")
    page.wait_for_selector(".opinions li >> nth=3")
    assert "% real" in page.inner_text(".opinions li >> nth=0")
    page.click("text=Another seed")
    wait_for(lambda: page.locator(".opinions li").count() == 0)  # it was about other samples


def test_styles_of_the_chosen_samples_are_mixed(page: Page, server: Server):
    page.goto(f"{server.address}#/play/styled?n=4&chosen=0,2,3")
    page.click("button:text-is('Mix the chosen samples'):enabled")
    page.wait_for_selector(".styles canvas >> nth=8")
    assert (
        page.get_attribute(".styles canvas >> nth=1", "aria-label")
        == "The shape of sample 1 with the style of sample 3"
    )
    pictures = "[...document.querySelectorAll('.styles canvas')].map(c => c.toDataURL())"
    before = page.evaluate(pictures)
    page.get_by_label("Style from layer").select_option("2")
    wait_for(lambda: page.evaluate(pictures) != before)
    page.click("text=Another seed")
    wait_for(lambda: page.locator(".styles canvas").count() == 0)  # they were of other samples
    page.goto(f"{server.address}#/play/mnist-dcgan")
    page.wait_for_selector("[data-drawn]")
    assert page.locator("text=Mix styles").count() == 0


def test_panels_say_when_they_take_only_the_first_of_the_samples(page: Page, server: Server):
    page.goto(f"{server.address}#/play/styled?n=9&chosen=0,1,2,3,4,5,6,7")
    page.click("button:text-is('Mix the chosen samples'):enabled")
    page.wait_for_selector("text=Only the first 6 of the 8 samples are used.")
    assert page.locator(".styles canvas").count() == 36
    page.goto(f"{server.address}#/play/small?n=20")
    page.wait_for_selector(".sample >> nth=19")  # until then, the page still has the other model
    page.click("text=Ask it about these samples")
    page.wait_for_selector("text=Only the first 16 of the 20 samples are used.")


def test_files_are_named_after_what_they_hold_and_one_is_no_plural(page: Page, server: Server):
    page.goto(f"{server.address}#/play/styled?n=1")
    page.wait_for_selector("text=1 picture in")
    for button, name in (("Save PNG", "samples.png"), ("Save .npz", "samples.npz")):
        with page.expect_download() as download:
            page.click(f".row button:text-is('{button}') >> nth=0")
        assert download.value.suggested_filename == name


def test_classes_are_mixed_and_the_address_says_so(page: Page, server: Server):
    page.goto(f"{server.address}#/play/mnist-cgan?n=4&label=3")
    page.wait_for_selector("[data-drawn]")
    pictures = "[...document.querySelectorAll('.sample canvas')].map(c => c.toDataURL())"
    before = page.evaluate(pictures)
    page.get_by_label("Mix with class").select_option("8")
    wait_for(lambda: page.evaluate(pictures) != before)
    assert "mix=8&share=0.5" in page.url
    assert page.locator("text=What the discriminator thinks").count() == 0  # the package has none for it


def test_a_walk_does_not_move_by_itself_where_motion_is_reduced(page: Page, server: Server):
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.address}#/play/mnist-dcgan?chosen=0,1")
    page.wait_for_selector("[data-drawn]")
    page.click("text=Walk between the chosen")
    page.wait_for_selector("canvas.stage")
    shown = "document.querySelector('.stage').toDataURL()"
    before = page.evaluate(shown)
    page.wait_for_timeout(500)
    assert page.evaluate(shown) == before
    page.get_by_label("Position in the walk").fill("12")
    assert page.evaluate(shown) != before


def test_only_the_last_walk_is_shown_and_a_refusal_is_said(page: Page, server: Server):
    held: list[Route] = []
    page.goto(f"{server.address}#/play/mnist-dcgan?n=4&chosen=0,1")
    page.wait_for_selector("[data-drawn]")
    page.evaluate(
        """() => {
        const start = window.setInterval;
        window.startedCount = 0;
        window.setInterval = (...given) => (window.startedCount++, start(...given));
        }"""
    )
    walk = page.locator("text=Walk between the chosen")
    page.route("**/draw", lambda route: held.append(route))
    walk.dblclick()
    wait_for(lambda: page.evaluate("1") and len(held) == 2)
    for route in held:
        route.continue_()
    page.wait_for_selector("canvas.stage")
    page.click("text=Stop the walk")
    walk.click()
    page.click("text=Another seed")
    wait_for(lambda: page.evaluate("1") and len(held) == 4)
    drawn = page.get_attribute("[data-drawn]", "data-drawn")
    page.route("**/draw", lambda route: route.continue_())  # the previews of the directions
    for route in held[2:]:
        route.continue_()
    wait_for(lambda: page.get_attribute("[data-drawn]", "data-drawn") != drawn)
    assert (page.evaluate("window.startedCount"), page.locator("canvas.stage").is_visible()) == (1, False)
    page.route("**/draw", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    status = page.locator(".shown > [role=status]")
    for button in (walk, page.locator("button:text-is('Save GIF') >> nth=0")):
        page.evaluate("document.querySelector('.shown > [role=status]').textContent = ''")
        button.click()
        wait_for(lambda: status.inner_text() == "This did not work: busy")
