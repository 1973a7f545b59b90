"""The page Watch beyond the curves of one run, in a real browser."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.run.log import EARLY_EVENT, LogEntry
from dcgan.training import health
from dcgan.training.health import Diagnosis
from dcgan.training.recovery import FAULTS
from tests.studio.conftest import Server, wait_for
from tests.training.test_health import measurements, pictures


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


def _first_entry() -> LogEntry:
    return {
        "event": EARLY_EVENT,
        "step": 1,
        "images_seen": 32,
        "seconds": 0.2,
        "loss_d": 0.7,
        "loss_g": 0.8,
        "d_real": 0.5,
        "d_fake": 0.5,
    }


def test_the_first_step_is_drawn_a_second_after_the_training_has_written_it(
    page: Page, server: Server, finished_run: RunFolder
):
    """Seconds are those of the page's own clock, which stands still unless the test moves it."""
    run = RunFolder(server.runs / "young")
    shutil.copytree(finished_run.path, run.path)
    run.log.path.write_text("")
    page.clock.install()
    page.goto(f"{server.address}#/watch/young")
    page.wait_for_selector("text=Curves appear after the first log step.")
    page.clock.pause_at(datetime.now() + timedelta(hours=1))
    with page.expect_response("**/api/runs/young"):
        page.clock.run_for(1000)
    run.log.append(_first_entry())
    assert page.locator("svg.chart").count() == 0
    page.clock.run_for(1000)
    page.wait_for_selector("svg.chart circle.series-1")
    assert page.inner_text(".legend >> nth=0") == "Loss_D 0.7 Loss_G 0.8"
    shutil.rmtree(run.path)


def test_the_measured_quality_is_drawn_above_its_floor(page: Page, server: Server, finished_run: RunFolder):
    run = RunFolder(server.runs / "measured")
    shutil.copytree(finished_run.path, run.path)
    kernel = "kernel_inception_distance_mean"
    for i in range(1, 4):
        position = {"step": 1000 * i, "images_seen": 100_000 * i}
        run.log.append(
            {"event": "measured", **position, kernel: 1.0 / i, "features": "lite2", "split": "train", "n": 500}
        )
    page.goto(f"{server.address}#/watch/measured")
    quality = page.locator(".chart-box", has_text="kernel distance (KID)")
    quality.wait_for()
    assert quality.locator(".midline").count() == 0
    run.evaluation.mkdir()
    estimate = {"mean": 0.4, "low": 0.3, "high": 0.5, "real_against_real": 0.01}
    content = {"format_version": 1, "features": "lite2", "split": "test", "metrics": {kernel: estimate}}
    (run.evaluation / "figures.json").write_text(json.dumps(content))
    quality.locator("svg text", has_text="floor: real against real").wait_for()
    assert float(quality.locator(".midline").get_attribute("y1")) > float(
        quality.locator("polyline").get_attribute("points").split(",")[-1]
    )
    page.click("text=한국어")
    page.wait_for_selector("svg text:text-is('바닥값: 진짜끼리')")
    shutil.rmtree(run.path)


ALL_CLASSES, ONE_CLASS = {"classes": [8] * 8}, {"classes": [64] + [0] * 7}
FINDINGS = [
    *health.diagnose(measurements(20, d_right=0.99)[:10] + measurements(20, d_right=0.99, grad_g=1e-4)[10:]),
    *health.diagnose(measurements(80, d_right=0.99) + pictures([2.4] * 9)),
    *health.diagnose(measurements(10, d_right=0.1)),
    *health.diagnose(pictures([1.0] * 5, [0.0, 0.5, 0.5, 0.1, 0.1])),
    *health.diagnose(pictures([1.0] * 3, **ALL_CLASSES) + pictures([1.0] * 2, **ONE_CLASS)),
    *health.diagnose(pictures([1.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0])),
    *health.diagnose(pictures([1.0] * 7, [0.5, 0.2, 0.9, 0.2, 0.9, 0.2, 0.9])),
    *health.diagnose(pictures([2.0, 0.3], is_all=True)),
    *(health.diagnose_not_finite(fault, 1500) for fault in FAULTS.values()),
]
"""Every sentence that a training can say of its health."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def test_everything_that_a_training_finds_is_said_in_korean(page: Page, server: Server):
    source = Path(health.__file__).read_text(encoding="utf-8")
    assert {finding.name for finding in FINDINGS} == set(re.findall(r'Diagnosis\(\s*"([\w-]+)"', source))
    sentences = {text for finding in FINDINGS for text in (finding.evidence, finding.advice)}
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("[data-figures]")
    translate = """async (texts) => {
        const { translateText } = await import('/server_texts.js');
        const inEnglish = texts.map(translateText);
        document.documentElement.lang = 'ko';
        return [inEnglish, texts.map(translateText)];
    }"""
    english, korean = page.evaluate(translate, sorted(sentences))
    assert english == sorted(sentences)
    for sentence, translated in zip(english, korean, strict=True):
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"--[a-z-]+( [\w+.-]+)*|r3gan|run", "", translated))
        assert re.search("[가-힣]", translated), sentence
        assert words == [], sentence
        assert sorted(NUMBER.findall(translated)) == sorted(NUMBER.findall(sentence)), sentence
