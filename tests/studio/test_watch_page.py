"""The page Watch beyond the curves of one run, in a real browser."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.training.health import Diagnosis
from tests.studio.conftest import Server, wait_for


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    for name in ("one", "two"):
        shutil.copytree(finished_run.path, runs / name)
    server = Server(runs)
    yield server
    server.stop()


def test_other_runs_are_drawn_over_it_and_the_address_says_which(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/one")
    page.wait_for_selector("svg.chart")
    page.click("summary:has-text('Draw other runs over it')")
    page.get_by_label("two", exact=True).check()
    page.wait_for_selector("polyline.other-1")
    assert "two: Loss_D" in page.inner_text(".legend >> nth=0")
    assert page.url.endswith("#/watch/one?with=two")
    page.reload()
    page.wait_for_selector("polyline.other-1.dashed", state="attached")


def test_the_film_is_saved(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/one")
    with page.expect_download() as download:
        page.click("button:text-is('Save the film as GIF')")
    assert download.value.path().read_bytes().startswith(b"GIF89a")


def test_nearest_training_pictures_are_shown_when_asked_for(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/one")
    page.click("button:text-is('Find the nearest training pictures')")
    page.wait_for_selector(".pairs li >> nth=7")
    assert page.get_attribute(".pairs canvas", "aria-label").startswith("Sample 1 and the nearest training picture")


def test_problems_are_explained_in_both_languages(page: Page, server: Server):
    position = {"step": 7, "images_seen": 112}
    RunFolder(server.runs / "two").log.append(
        {"event": "health", **position, **Diagnosis("mode-collapse", "alike", "--r1 0.1").as_json()}
    )
    page.goto(f"{server.address}#/watch/two")
    page.wait_for_selector("text=The pictures have become alike.")
    page.click("text=한국어")
    page.wait_for_selector("text=이미지들이 서로 비슷해졌습니다.")


def test_the_title_and_a_notification_say_that_a_run_has_ended(page: Page, server: Server):
    page.add_init_script(
        """window.told = [];
        window.Notification = class { constructor(title, { body }) { told.push(body); } };
        Notification.permission = "default";
        Notification.requestPermission = async () => "granted";"""
    )
    with lock_run(server.runs / "one"):  # as a training does
        page.goto(f"{server.address}#/watch/one")
        page.wait_for_selector("[data-state=running]")
        assert page.title() == "running: one · dcgan studio"
        page.get_by_label("Tell me when it is done").check()
    page.wait_for_selector("[data-state=done]")
    wait_for(lambda: page.evaluate("told") == ["one: done"])
    assert page.title() == "● one: done"
