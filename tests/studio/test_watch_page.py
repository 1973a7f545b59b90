"""The page Watch beyond the curves of one run, in a real browser."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route

from dcgan.errors import UserError
from dcgan.metrics.results import METRIC_TITLES
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.run.log import EARLY_EVENT, LogEntry
from dcgan.studio import manage
from dcgan.studio.allowed_paths import DataRoots
from dcgan.training import health
from dcgan.training.health import Diagnosis
from dcgan.training.recovery import FAULTS
from tests.studio.conftest import Server, wait_for
from tests.training.test_health import measurements, pictures


@pytest.fixture(scope="module")
def server(server_of_two_runs: Server) -> Server:
    return server_of_two_runs


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


def test_another_run_of_the_same_name_shows_its_own_grid_in_the_same_tab(page: Page, server: Server):
    """A browser shows a picture that it has without asking, as long as the page around it stays the same."""
    shutil.copytree(server.runs / "one", server.runs / "again")
    width = "document.querySelector('img.grid')?.naturalWidth"
    page.goto(f"{server.address}#/watch/again")
    old_width = wait_for(lambda: page.evaluate(width))
    for path in (server.runs / "again" / "samples").iterdir():
        Image.new("L", (50, 50)).save(path)
    os.utime(server.runs / "again" / "config.json")
    wait_for(lambda: page.evaluate(width) == 50)
    assert old_width != 50
    shutil.rmtree(server.runs / "again")


@pytest.fixture
def lengths(finished_run: RunFolder, server: Server) -> Iterator[None]:
    """Runs whose losses were measured 3, 30 and 100 times, at every 1,000 images, and once."""
    for name, count in (("short", 3), ("middle", 30), ("long", 100), ("single", 1)):
        run = RunFolder(server.runs / name)
        shutil.copytree(finished_run.path, run.path)
        run.log.path.write_text("")
        for i in range(1, count + 1):
            run.log.append({**_first_entry(), "step": 100 * i, "images_seen": 1000 * i, "loss_d": float(count)})
    yield
    for name in ("short", "middle", "long", "single"):
        shutil.rmtree(server.runs / name)


def test_values_of_longer_and_shorter_runs_are_read_where_they_are(page: Page, server: Server, lengths: None):
    page.goto(f"{server.address}#/watch/middle?with=short,long")
    page.wait_for_selector("polyline.other-2", state="attached")
    losses = page.locator(".chart-box", has_text="Losses")
    legend, plot = losses.locator(".legend"), losses.locator("svg")
    assert "short: Loss_D 3" in legend.inner_text()  # the last values, as long as nobody points at a place
    plot.hover(position={"x": plot.bounding_box()["width"] - 1, "y": 20})
    assert "100,000 images" in legend.inner_text()
    assert "long: Loss_D 100" in legend.inner_text()
    assert "short: Loss_D (ended)" in legend.inner_text()
    assert re.search(r"^Loss_D \(ended\)", legend.inner_text())
    page.mouse.move(0, 0)
    plot.focus()
    page.keyboard.press("ArrowLeft")
    assert "99,000 images" in legend.inner_text()
    page.keyboard.press("Home")
    assert "1,000 images" in legend.inner_text()
    assert "short: Loss_D 3" in legend.inner_text()


def test_another_run_grows_while_it_trains_and_has_not_ended(page: Page, server: Server, lengths: None):
    short = RunFolder(server.runs / "short")
    with lock_run(short.path):  # as a training does
        page.goto(f"{server.address}#/watch/middle?with=short")
        page.wait_for_selector("polyline.other-1", state="attached")
        losses = page.locator(".chart-box", has_text="Losses")
        losses.locator("svg").focus()
        page.keyboard.press("End")
        assert "short: Loss_D \u2013" in losses.locator(".legend").inner_text()
        page.keyboard.press("Tab")
        short.log.append({**_first_entry(), "step": 9999, "images_seen": 9000, "loss_d": 8.5})
        losses.locator(".legend:has-text('short: Loss_D 8.5')").wait_for()


def test_a_run_whose_quality_was_measured_otherwise_is_left_out(page: Page, server: Server, lengths: None):
    kernel, frechet = "kernel_inception_distance_mean", "frechet_inception_distance"
    for name, metric in (("short", kernel), ("middle", kernel), ("long", frechet)):
        for images in (500, 1000):
            position = {"step": images, "images_seen": images}
            measured = {"event": "measured", **position, metric: 0.5, "features": "lite2", "split": "train", "n": 500}
            RunFolder(server.runs / name).log.append(measured)
    page.goto(f"{server.address}#/watch/middle?with=long,short")
    page.wait_for_selector("text=Not drawn here, because it was measured in another way: long: Fréchet distance")
    quality = page.locator(".chart-box", has_text="Quality while training")
    quality.locator("polyline.other-2").wait_for(state="attached")
    assert quality.locator(".other-1").count() == 0
    assert page.locator(".chart-box", has_text="Losses").locator("polyline.other-1").count() > 0
    page.click("text=한국어")
    page.wait_for_selector("text=다른 방법으로 재서 여기에 그리지 않은 run: long: Fréchet 거리")


def test_no_more_than_three_runs_and_no_run_that_is_no_longer_chosen(page: Page, server: Server, lengths: None):
    held: list[Route] = []
    page.goto(f"{server.address}#/watch/one?with=short,middle,long")
    for number in (1, 2, 3):
        page.wait_for_selector(f"polyline.other-{number}", state="attached")
    assert page.get_by_label("single", exact=True).is_disabled()
    page.get_by_label("long", exact=True).uncheck()
    page.wait_for_selector("polyline.other-3", state="detached")
    page.route("**/api/runs/single", lambda route: held.append(route))
    page.get_by_label("single", exact=True).check()
    wait_for(lambda: page.evaluate("1") and held)
    page.get_by_label("single", exact=True).uncheck()
    for route in held:
        route.continue_()
    page.get_by_label("long", exact=True).check()
    page.wait_for_selector("polyline.other-3", state="attached")
    assert page.locator(".legend >> nth=0").inner_text().count("single") == 0
    assert page.url.endswith("with=short%2Cmiddle%2Clong")


def test_the_curves_of_another_run_have_its_color_also_with_one_point(page: Page, server: Server, lengths: None):
    page.goto(f"{server.address}#/watch/middle?with=single")
    page.wait_for_selector("circle.other-1", state="attached")
    losses = page.locator(".chart-box", has_text="Losses")
    paint = "e => { const s = getComputedStyle(e); return [s.stroke, s.fill] }"
    swatch = losses.locator(".legend .other-1 i").first
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        stroke, fill = losses.locator("circle.other-1").first.evaluate(paint)
        assert stroke == swatch.evaluate("e => getComputedStyle(e).backgroundColor")
        assert fill == "none"
    pictures = losses.locator(".legend .other-1 i").evaluate_all("all => all.map(e => getComputedStyle(e).background)")
    assert len(pictures) == len(set(pictures)) == 2  # a solid one and a dashed one, as the curves


TEXT_BOXES = """() => [...document.querySelectorAll('svg.chart')].flatMap((plot) => {
    const boxes = [...plot.querySelectorAll('text')].map((e) => [e.textContent, e.getBoundingClientRect(), e]);
    const frame = plot.getBoundingClientRect();
    const small = boxes.filter(([, , e]) => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a < 11);
    const outside = boxes.filter(([, b]) => b.left < frame.left || b.right > frame.right || b.bottom > frame.bottom);
    const overlapping = boxes.filter(([, a], i) => boxes.some(([, b], k) => k > i
        && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3));  // a box has more height than its letters
    return [...small, ...outside, ...overlapping].map(([text]) => text);
})"""
"""Returns the texts of charts that are smaller than 11 pixels of the screen, cut off, or overlap others."""


@pytest.mark.parametrize("width", [390, 1280])
def test_the_texts_of_a_chart_are_large_enough_and_apart(page: Page, server: Server, lengths: None, width: int):
    page.set_viewport_size({"width": 1280 if width == 390 else 390, "height": 844})
    page.goto(f"{server.address}#/watch/middle?with=long")
    page.wait_for_selector("polyline.other-1", state="attached")
    page.set_viewport_size({"width": width, "height": 844})  # a phone is turned
    scale = "document.querySelector('svg.chart').getScreenCTM().a"
    wait_for(lambda: abs(page.evaluate(scale) - 1) < 0.01)
    assert page.locator("svg.chart text").count() >= 12
    assert page.evaluate(TEXT_BOXES) == []
    page.get_by_label("Log scale").check()
    assert page.evaluate(TEXT_BOXES) == []
    page.click("text=한국어")
    page.wait_for_selector("svg.chart")
    wait_for(lambda: abs(page.evaluate(scale) - 1) < 0.01)
    assert page.evaluate(TEXT_BOXES) == []


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
        window.Notification = class {
          constructor(title, { body }) { told.push(body); throw new TypeError("as in Chrome for Android"); }
        };
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
    page.wait_for_timeout(300)
    assert (page.evaluate("told"), page.locator("text=as in Chrome for Android").count()) == (["one: done"], 0)


def test_what_is_written_and_awaited_stays_in_another_language(page: Page, server: Server):
    page.add_init_script("window.Notification = class { static permission = 'granted'; };")
    with lock_run(server.runs / "one"):
        page.goto(f"{server.address}#/watch/one")
        page.get_by_label("Tell me when it is done").check()
        page.click("summary:text('Note')")
        page.fill(".manage textarea", "not saved yet")
        page.fill(".manage input", "new-name")
        page.click("text=한국어")
        page.wait_for_selector("label:has-text('끝나면 알려 주기') input:checked")
        page.click("nav >> text=탐색")
        page.wait_for_selector("[data-drawn]")
        page.go_back()
        page.wait_for_selector(".manage[open]")
        with page.expect_response("**/api/runs/one"):  # what the server says of the run leaves it alone
            pass
        assert page.input_value(".manage textarea") == "not saved yet"
        assert page.input_value(".manage input") == "new-name"
        page.click("button:text-is('메모 저장')")
        page.wait_for_selector(".note:has-text('not saved yet')")
        page.fill(".manage textarea", "")
        page.click("button:text-is('메모 저장')")
        page.wait_for_selector(".note", state="hidden")


def test_favourites_go_with_their_run_and_not_with_its_name(page: Page, server: Server):
    shutil.copytree(server.runs / "one", server.runs / "before")
    stored = "['before', 'after'].map((name) => localStorage.getItem(`dcgan.favourites.${name}`))"
    page.goto(f"{server.address}#/watch/before")
    page.evaluate("localStorage.setItem('dcgan.favourites.before', '[1]')")
    page.click("summary:text('Note')")
    page.fill(".manage input", "after")
    page.click("button:text-is('Rename')")
    page.wait_for_url("**/#/watch/after")
    assert page.evaluate(stored) == [None, "[1]"]
    page.wait_for_selector("[data-state]")
    page.click("summary:text('Note')")
    page.click("button:text-is('Delete …')")
    page.click("button.danger")
    page.wait_for_url("**/#/runs")
    assert page.evaluate(stored) == [None, None]


def test_a_choice_that_is_made_with_the_keyboard_keeps_the_focus(page: Page, server: Server):
    focused = (
        "document.activeElement.dataset.choice && [document.activeElement.dataset.choice, document.activeElement.value]"
    )
    page.goto(f"{server.address}#/watch/one")
    page.wait_for_selector("[data-state]")
    page.focus("[data-choice=shown]")
    for letter, name in (("t", "two"), ("o", "one")):
        page.keyboard.press(letter)
        page.wait_for_url(f"**/#/watch/{name}")
        wait_for(lambda name=name: page.evaluate(focused) == ["shown", name])
    page.goto(f"{server.address}#/compare/one?to=one")
    page.wait_for_selector("[data-compared]")
    page.focus("[data-choice=right]")
    page.keyboard.press("t")
    page.wait_for_url("**/#/compare/one?to=two*")
    wait_for(lambda: page.evaluate(focused) == ["right", "two"])
    page.click("nav >> text=Learn")
    wait_for(lambda: page.evaluate("document.activeElement.id") == "main")


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
    page.wait_for_timeout(2000)  # of real time, in which a question to the server that is still open is answered
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
    page.wait_for_selector(".chart-box h3:text-is('학습 중 품질: 커널 거리(KID) (lite2, train)')")
    korean = page.locator(".chart-box", has_text="커널 거리")
    assert korean.locator(".legend").inner_text() == "커널 거리(KID) 0.3333"
    assert "kernel" not in korean.locator("svg").get_attribute("aria-label")
    shutil.rmtree(run.path)


def test_what_is_refused_is_said_in_korean(page: Page, server: Server, finished_run: RunFolder):
    shutil.copytree(finished_run.path, server.runs / "play")  # this is also a text of the pages
    page.goto(f"{server.address}#/watch/one")
    page.click("text=한국어")
    page.wait_for_selector("summary:text('메모')")
    page.click("summary:text('메모')")
    status = page.locator(".manage [role=status]")
    for name, text in (
        ("a/b", "이름은 글자, 숫자, . _ + - 로 80자까지이고 글자나 숫자로 시작합니다"),
        ("play", "play(이)라는 이름이 이미 있습니다"),
        ("", "이름을 적으세요"),
    ):
        page.fill(".manage input", name)
        page.click("button:text-is('이름 변경')")
        wait_for(lambda text=text: status.inner_text() == text)
    page.fill("input[type=number]", "0")
    page.click("button:text-is('이어서')")
    page.wait_for_selector("text=분은 0보다 커야 합니다")
    shutil.rmtree(server.runs / "play")


TRANSLATE = """async (texts) => {
    const { translateText } = await import('/server_texts.js');
    const inEnglish = texts.map(translateText);
    document.documentElement.lang = 'ko';
    return [inEnglish, texts.map(translateText)];
}"""
"""Returns texts of the server as an English page shows them, and as a Korean one does."""
REFUSALS = {
    "there is no run 'x'": "run 'x'이(가) 없습니다",
    "small is running: stop it first": "small은(는) 학습 중입니다. 먼저 멈추세요",
    "2 trainings are running: stop one first": "학습 2개가 진행 중입니다. 먼저 하나를 멈추세요",
    "process 7 on box trains x for another user, who can stop it": "process 7 on box이(가) 다른 사용자의 이름으로 x",
    "it is not known yet which process trains x: try again in a moment": "어느 프로세스가 x",
    "this check was ended for a later one: look at the data again": "다시 살펴보세요",
    "a file cannot be read or written: No space left on device": "No space left on device",
    "an .mp4 needs the package av: pip install 'av>=1'; or write a .gif or a .webp": "pip install 'av>=1'",
    "a set is one zip, or pictures: send each zip by itself": "zip 하나이거나",
    "small has trained for 5.2 minutes already: give more than that, the minutes count from the run's start": "5.2분",
}


def test_refusals_and_titles_have_a_korean_text_with_the_same_values(page: Page, server: Server):
    manage_source = Path(manage.__file__).read_text(encoding="utf-8")
    raised = re.findall(r'raise UserError\(\s*f?"(.+)"\s*\)', manage_source)
    assert len(raised) >= 4
    with pytest.raises(UserError) as refusal:
        DataRoots((server.runs,)).check("/etc")
    sentences = [str(refusal.value), *REFUSALS, *(re.sub(r"\{[^}]+\}", "80", text) for text in raised)]
    sentences += [title for title in METRIC_TITLES.values() if len(title.split()) > 2]
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("[data-figures]")
    english, korean = page.evaluate(TRANSLATE, sentences)
    assert english == sentences
    for sentence, translated in zip(sentences, korean, strict=True):
        assert re.search("[가-힣]", translated), sentence
        assert REFUSALS.get(sentence, "") in translated


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
    english, korean = page.evaluate(TRANSLATE, sorted(sentences))
    assert english == sorted(sentences)
    for sentence, translated in zip(english, korean, strict=True):
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"--[a-z-]+( [\w+.-]+)*|r3gan|run", "", translated))
        assert re.search("[가-힣]", translated), sentence
        assert words == [], sentence
        assert sorted(NUMBER.findall(translated)) == sorted(NUMBER.findall(sentence)), sentence
