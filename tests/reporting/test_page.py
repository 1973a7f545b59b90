import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from dcgan.cli.main import run as command
from dcgan.errors import UserError
from dcgan.reporting.page import write_run_report
from dcgan.run.folder import RunFolder
from dcgan.training.losses import OBJECTIVES
from tests.conftest import Run

NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{ 7*7 }}"
EVALUATION = {
    "format_version": 1,
    "step": 7,
    "n": 110,
    "reference": 400,
    "split": "test",
    "data": NASTY,
    "features": "judge",
    "intervals": "5 independent sample seeds",
    "notes": [NASTY],
    "rows": ["seven", NASTY],
    "classes": {"seven": 0.75, NASTY: 0.25},
    "metrics": {
        "frechet_inception_distance": {"mean": 2.932, "low": 2.91, "high": 2.954, "real_against_real": 0.02593},
        NASTY: {"mean": 1, "low": 0, "high": 2, "real_against_real": None},
        "damaged": {"mean": "high"},
    },
}


@pytest.fixture
def evaluated(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    """Return a run with an evaluation, events, and a name that is HTML."""
    folder = RunFolder(tmp_path / NASTY.replace("/", "-"))
    shutil.copytree(finished_run.path, folder.path)
    folder.evaluation.mkdir()
    (folder.evaluation / "figures.json").write_text(json.dumps(EVALUATION))
    for name, size in (("classes.png", (242, 62)), ("neighbours.png", (182, 242))):
        Image.new("L", size, 99).save(folder.evaluation / name)
    position = {"step": 4, "images_seen": 64}
    folder.log.append(
        {"event": "health", **position, "diagnosis": NASTY, "evidence": "diversity 0.1", "advice": "a lower --lr"}
    )
    folder.log.append(
        {"event": "measured", **position, "frechet_inception_distance": 3.25, "features": "random", "split": NASTY}
    )
    return folder


def report_text(folder: RunFolder) -> str:
    """Write the report and return its HTML without style, scripts and pictures."""
    html = write_run_report(folder.path).path.read_text()
    return re.sub(r"(?s)<style>.*?</style>|<script>.*?</script>|data:image/[^\"]*", "", html)


def test_the_report_command_draws_curves_that_are_gone(finished_run: RunFolder, tmp_path: Path):
    """A run that is killed after its last checkpoint is finished, and has neither curves nor a report."""
    folder = RunFolder(shutil.copytree(finished_run.path, tmp_path / "r"))
    before = folder.curves.read_bytes()
    folder.curves.unlink()
    folder.report.unlink()
    write_run_report(folder.path)
    assert folder.report.is_file()
    assert folder.curves.read_bytes() == before
    folder.curves.write_bytes(b"mine")
    write_run_report(folder.path)
    assert folder.curves.read_bytes() == b"mine"


def test_every_training_ends_with_a_report(finished_run: RunFolder):
    html = finished_run.report.read_text()
    assert "dcgan train --preset dcgan" in html
    assert "This run was not evaluated" in html
    assert html.count("<polyline") == 6  # two losses, two scores, diversity and nearness
    assert html.count("<figure data-caption") == 4  # steps 0, 3, 6 and 7


def test_the_report_of_an_evaluated_run(evaluated: RunFolder):
    text = report_text(evaluated)
    for value in ("2.932", "2.91\xa0to 2.954", "0.02593", "model of step 7", "seven", "75.0%", "3.25 at step 4"):
        assert value in text
    assert "damaged" not in text  # a metric without numbers


def test_groups_have_rows(evaluated: RunFolder):
    assert "By group" not in report_text(evaluated)
    content = EVALUATION | {"group_rows": ["group 7: 60.0%", "group 2 (seven): 40.0%"]}
    (evaluated.evaluation / "figures.json").write_text(json.dumps(content))
    Image.new("L", (242, 62), 99).save(evaluated.evaluation / "groups.png")
    text = report_text(evaluated)
    assert "<span>group 7: 60.0%</span>" in text
    assert 'alt="generated pictures of group 2 (seven): 40.0%"' in text
    (evaluated.evaluation / "groups.png").unlink()
    text = report_text(evaluated)
    assert "groups.png cannot be shown" in text
    assert "By group" not in text


def test_nothing_is_injected(evaluated: RunFolder):
    text = report_text(evaluated)
    assert text.count("&lt;img src=x onerror=alert(1)&gt;") == 9
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "{{ 7*7 }}" in text  # it is not evaluated
    assert "default-src &#39;none&#39;" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(browser: Browser, evaluated: RunFolder, width: int, scheme: str):
    """The page has no error, requests nothing, fits the screen, and describes every picture in words."""
    write_run_report(evaluated.path)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(evaluated.report.as_uri())
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == [evaluated.report.as_uri()]
    assert page.title() == evaluated.path.name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    images = page.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth])")
    assert len(images) == 1 + 4 + 2 + 1
    assert all(alt and size > 0 for alt, size in images)
    assert page.locator("svg[role=img]:not([aria-label])").count() == 0
    assert is_dark(page) == (scheme == "dark")
    page.close()


def is_dark(page: Page) -> bool:
    """Return whether the page's background is darker than its text."""
    background, text = page.evaluate(
        "['backgroundColor', 'color'].map(n => getComputedStyle(document.body)[n].match(/\\d+/g).map(Number))"
    )
    return sum(background) < sum(text)


def test_the_slider_goes_through_the_grids(browser: Browser, finished_run: RunFolder):
    page = browser.new_page()
    page.goto(finished_run.report.as_uri())
    shown = page.locator("#grids figure:visible")
    assert "after 112 images" in shown.inner_text()
    page.locator("#grid-slider").focus()
    page.keyboard.press("Home")
    assert "after 0 images" in shown.inner_text()
    page.keyboard.press("ArrowRight")
    assert "after 48 images" in shown.inner_text()
    assert page.locator("#grid-slider").get_attribute("aria-valuetext") == "48 images"
    page.close()


def test_without_scripts_and_in_print_the_grids_stand_side_by_side(browser: Browser, finished_run: RunFolder):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(finished_run.report.as_uri())
    assert page.locator("#grids figure:visible").count() == 4
    context.close()
    page = browser.new_page()
    page.goto(finished_run.report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("#grids figure:visible").count() == 4
    assert not page.locator("#grid-slider").is_visible()
    assert not is_dark(page)  # paper is white
    page.close()


def test_damaged_files_are_named_and_everything_else_is_shown(evaluated: RunFolder):
    lines = evaluated.log.path.read_text().splitlines()
    evaluated.log.path.write_text("\n".join([*lines[:2], '{"step": 3, "los', "\x00", *lines[2:]]))
    (evaluated.samples / "00000048.png").write_bytes(b"no picture")
    (evaluated.path / "reals.png").unlink()
    (evaluated.evaluation / "figures.json").write_text("{")
    written = write_run_report(evaluated.path)
    text = report_text(evaluated)
    assert len(written.faults) == 4
    for fault in ("2 lines are damaged and left out (line 3, 4)", "00000048.png cannot", "reals.png cannot", "damaged"):
        assert any(fault in line for line in written.faults), fault
        assert fault in text
    assert str(evaluated.path.parent) not in text  # a page that is sent to others does not say in which folder it was
    assert text.count("<figure data-caption") == 3
    assert text.count("<polyline") == 7
    assert "was not evaluated" in text


@pytest.mark.parametrize("settings", ["{", '{"format_version": 1, "settings": {"lr": "high"}}'])
def test_settings_that_cannot_be_read_do_not_hide_the_run(evaluated: RunFolder, settings: str):
    (evaluated.path / "config.json").write_text(settings)
    written = write_run_report(evaluated.path)
    assert len(written.faults) == 1
    assert "config.json" in written.faults[0]
    text = report_text(evaluated)
    assert "<h2>Settings</h2>" not in text
    assert text.count("<polyline") == 7


def test_a_run_without_samples_or_measurements(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r", ignore=shutil.ignore_patterns("samples", "metrics.jsonl"))
    (tmp_path / "r" / "samples").mkdir()
    written = write_run_report(tmp_path / "r")
    assert written.faults == ("metrics.jsonl holds no measurements", "samples/ holds no grids of samples")
    text = report_text(RunFolder(tmp_path / "r"))
    assert "<polyline" not in text
    assert "<h2>Settings</h2>" in text


def test_metrics_that_were_measured_at_another_step_say_so(evaluated: RunFolder):
    (evaluated.evaluation / "figures.json").write_text(json.dumps(EVALUATION | {"step": 3}))
    assert "The log ends at step 7: these metrics were measured at another step." in report_text(evaluated)


def test_large_pictures_and_long_logs_stay_below_5_mb(finished_run: RunFolder, tmp_path: Path):
    """Noise compresses least: 64 grids of eight rows of 64x64 RGB, and 20,000 lines."""
    folder = RunFolder(tmp_path / "r")
    shutil.copytree(finished_run.path, folder.path)
    noise = np.random.default_rng(0).integers(256, size=(530, 530, 3), dtype=np.uint8)
    for path in (folder.path / "reals.png", *(folder.samples / f"{i:08d}.png" for i in range(1, 65))):
        Image.fromarray(noise).save(path, compress_level=0)
    first = next(folder.log.measurements())
    folder.log.replace([first | {"step": i, "images_seen": 16 * i, "loss_g": i % 7} for i in range(20_000)])
    written = write_run_report(folder.path)
    assert written.faults == ()
    assert 1_000_000 < written.size < 5_000_000
    html = folder.report.read_text()
    assert html.count("<figure data-caption") == 30
    assert "after 0 images" in html
    assert "after 112 images" in html  # the last


def test_a_conditional_run_shows_its_classes(finished_run: RunFolder, tmp_path: Path):
    folder = RunFolder(tmp_path / "r")
    shutil.copytree(finished_run.path, folder.path)
    content = json.loads((folder.path / "config.json").read_text())
    content["settings"]["conditional"] = True
    (folder.path / "config.json").write_text(json.dumps(content))
    model = json.loads((folder.model / "config.json").read_text())
    model["trained"]["classes"] = ["cat", "dog", NASTY]
    (folder.model / "config.json").write_text(json.dumps(model))
    text = report_text(folder)
    assert "A row for each class that the generator was asked for" in text
    assert "generated pictures of class dog" in text


@pytest.mark.parametrize("loss", OBJECTIVES)
def test_scores_are_probabilities_where_the_objective_says_so(loss: str, finished_run: RunFolder, tmp_path: Path):
    """With the kind of the scores in config.json, and without it, as version 0.1.0 wrote it."""
    folder = RunFolder(tmp_path / "r")
    shutil.copytree(finished_run.path, folder.path)
    content = json.loads(folder.config_path.read_text())
    content["settings"]["loss"] = loss
    for score_kind in ({"score_kind": OBJECTIVES[loss].score_kind}, {}):
        folder.config_path.write_text(json.dumps(without(content, "score_kind") | score_kind))
        text = report_text(folder)
        assert ("ln 2: D cannot tell" in text) == (OBJECTIVES[loss].score_kind == "probability")
        assert ("1/2: the optimum" in text) == (OBJECTIVES[loss].score_kind in ("probability", "relative"))


def without(content: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != key}


def test_the_report_command(finished_run: RunFolder, tmp_path: Path, cli: Run, refused: Callable[..., str]):
    shutil.copytree(finished_run.path, tmp_path / "r")
    (tmp_path / "r" / "metrics.jsonl").write_text("")
    done = cli("report", "r", "--json")
    result = json.loads(done.stdout)
    assert result["report"] == "r/report.html"
    assert result["bytes"] == (tmp_path / "r" / "report.html").stat().st_size
    assert result["faults"] == ["metrics.jsonl holds no measurements"]
    assert "no run at" in refused("report", str(tmp_path))
    assert "saved model, not a run" in refused("report", str(finished_run.model))


def test_a_preset_that_is_a_file_still_has_a_report(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    content = json.loads((tmp_path / "r" / "config.json").read_text())
    content["settings"]["preset"] = "mine.json"
    (tmp_path / "r" / "config.json").write_text(json.dumps(content))
    assert command(["report", str(tmp_path / "r")]) == 0
    with pytest.raises(UserError, match="no run"):
        write_run_report(tmp_path / "missing")
