"""The form that starts a training, in a real browser."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from dcgan.presets import PRESET_DESCRIPTIONS
from tests.conftest import make_picture_folder
from tests.studio.conftest import Server, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("data")
    folder = make_picture_folder(root / "pictures", 30)
    (folder / "broken.png").write_bytes(b"no picture")
    server = Server(root / "runs", "--data-root", str(root))
    yield server
    server.stop()


def test_a_chosen_folder_is_looked_at_and_the_advice_is_used_in_two_languages(page: Page, server: Server):
    page.goto(server.address)
    page.click("summary:text('Choose a folder')")
    for name in (server.runs.parent.name, "📁 pictures"):
        page.click(f".entries button:has-text('{name}')")
    page.click("button:has-text('Use this folder (31 pictures in it)')")
    page.wait_for_selector(".check >> text=Looking at the data")
    page.wait_for_selector("[data-check=done]")
    assert page.inner_text(".check dt:text-is('Broken') + dd") == "1 file cannot be read"
    assert "broken.png" in page.inner_text(".check ul.bad")
    assert re.search(r"[\d.]+ min for the whole training", page.inner_text(".check dt:text-is('Takes') + dd"))
    assert page.evaluate("document.querySelector('.sheet').naturalWidth") > 100
    page.click("button:text-is('Use the advice')")
    preset, minutes = page.input_value("form select"), page.input_value("form input[type=number]")
    assert preset
    assert f"--preset {preset}" in page.text_content(".check code")
    page.click("text=한국어")
    page.wait_for_selector("text=망가진 파일")  # the result is there without another check
    assert page.input_value("form input[type=text]") == str(server.runs.parent / "pictures")
    assert (page.input_value("form select"), page.input_value("form input[type=number]")) == (preset, minutes)
    page.click("nav >> text=탐색")
    page.go_back()
    page.wait_for_selector("[data-check=done]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_list_of_folders_is_loaded_anew_and_leads_out_of_an_error(page: Page, server: Server):
    root = server.runs.parent
    page.goto(server.address)
    page.click("summary:text('Choose a folder')")
    page.click(f".entries button:has-text('{root.name}')")
    page.wait_for_selector(".entries button:has-text('📁 pictures')")
    page.click("summary:text('Choose a folder')")
    (root / "made meanwhile").mkdir()
    page.click("summary:text('Choose a folder')")
    page.click(".entries button:has-text('📁 made meanwhile')")
    page.wait_for_selector(".folders >> text=There is no folder in it.")
    page.click("summary:text('Choose a folder')")
    (root / "made meanwhile").rmdir()
    page.click("summary:text('Choose a folder')")
    page.wait_for_selector(".folders [role=alert]")
    page.click(".folders button:text-is('To the top')")
    page.wait_for_selector(f".entries button:has-text('{root.name}')")


def test_presets_and_refusals_are_in_the_language_of_the_page(page: Page, server: Server):
    page.goto(server.address)
    page.click("text=한국어")
    page.wait_for_selector("form legend:text-is('학습 시작')")
    select, line = page.locator("form select"), page.locator("form p.quiet").last
    for name in PRESET_DESCRIPTIONS:
        select.select_option(name)
        shown = line.inner_text()
        assert re.search("[가-힣]", shown), name
        assert page.locator(f"form option[value={name}]").get_attribute("title") == shown
    page.fill("form input[type=text]", "/etc")
    page.click("form button.main")
    page.wait_for_selector("form [role=status]:has-text('스튜디오가')")
    assert page.locator("form [role=status] [lang=en]").count() == 0
    page.route("**/api/runs", lambda route: route.fulfill(status=400, json={"detail": "nobody has translated this"}))
    page.fill("form input[type=text]", "mnist")
    page.click("form button.main")
    page.wait_for_selector("form [role=status] [lang=en]:text-is('nobody has translated this')")


def test_data_that_cannot_be_used_say_why_at_once(page: Page, server: Server):
    page.goto(server.address)
    page.fill("form input[type=text]", "/etc")
    page.keyboard.press("Tab")
    page.wait_for_selector("[data-check=failed] >> text=--data-root")


def test_dropped_pictures_become_a_set_that_is_looked_at(page: Page, server: Server):
    pictures = sorted((server.runs.parent / "pictures").glob("?.png"))
    page.goto(server.address)
    page.set_input_files(".drop input", [str(path) for path in pictures])
    page.wait_for_selector(".drop >> text=10 files are in the new set 0.")
    folder = server.runs.parent / "uploads" / "0"
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [path.read_bytes() for path in pictures]
    assert Path(page.input_value("form input[type=text]")) == folder
    page.wait_for_selector("[data-check=done]")
    # A browser gives dropped files in an event.
    page.evaluate(
        """() => {
        const files = new DataTransfer();
        files.items.add(new File(["no picture"], "x.png"));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true}));
        }"""
    )
    page.wait_for_selector(".drop .bad:text('1 file was refused. The first: x.png is not what its ending says')")
    assert page.locator(".drop .bad:text('new set')").count() == 0


def _drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the zone as a file manager does."""
    page.locator(".drop").scroll_into_view_if_needed()
    box = page.locator(".drop").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_a_dropped_folder_becomes_a_set_of_its_pictures(page: Page, server: Server, tmp_path: Path):
    folder = make_picture_folder(tmp_path / "my photos", 4, classes=2)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no picture")
    uploads = server.runs.parent / "uploads"
    page.route("**/api/data/checks", lambda route: route.fulfill(status=400, json={"detail": "not now"}))
    page.goto(server.address)
    page.wait_for_selector(".drop")
    sets = sorted(uploads.glob("*"))
    _drop(page, tmp_path / "texts")
    page.wait_for_selector(".drop .bad:text('There is no picture in it that can be read')")
    assert sorted(uploads.glob("*")) == sets
    _drop(page, folder)
    page.wait_for_selector(".drop >> text=4 files are in the new set my-photos. The pictures of all subfolders")
    assert len(list((uploads / "my-photos").iterdir())) == 4
    assert Path(page.input_value("form input[type=text]")) == uploads / "my-photos"
    page.click("text=한국어")
    page.wait_for_selector(".drop >> text=클래스 없는 데이터 하나가 되었습니다")


def test_a_file_that_is_gone_when_it_is_sent_leaves_nothing_behind(page: Page, server: Server, tmp_path: Path):
    gone = tmp_path / "gone.png"
    gone.write_bytes(b"")
    page.goto(server.address)
    page.click("text=한국어")
    page.wait_for_selector(".drop >> text=놓거나")
    page.evaluate("File.prototype.slice = () => ({ arrayBuffer: () => Promise.reject(new Error('not found')) })")
    page.set_input_files(".drop input", str(gone))
    page.wait_for_selector(".drop .bad:has-text('gone.png: 더 이상 읽을 수 없습니다')")
    assert page.locator(".drop [lang=en]").count() == 0
    page.click("text=English")
    page.wait_for_selector(".drop .bad:has-text('gone.png can no longer be read')")
    assert not (server.runs.parent / "uploads" / "gone").exists()


def test_a_refused_file_does_not_stop_the_others(page: Page, server: Server):
    picture = (server.runs.parent / "pictures" / "0.png").read_bytes()
    contents = {"mixed.png": picture, "text.png": b"no picture", "notes.txt": b"", "last.png": picture}
    page.goto(server.address)
    page.set_input_files(
        ".drop input",
        [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in contents.items()],
    )
    page.wait_for_selector(
        ".drop .bad:text('2 files are in the new set mixed. 2 files were refused. The first: text.png')"
    )
    folder = server.runs.parent / "uploads" / "mixed"
    assert sorted(path.name for path in folder.iterdir()) == ["last.png", "mixed.png"]
    assert Path(page.input_value("form input[type=text]")) == folder
    page.click("text=한국어")
    page.wait_for_selector(".drop .bad:has-text('파일 2개가 거부되었습니다. 첫 이유: text.png')")


def test_names_that_cannot_be_kept_become_different_ones_in_another_language_too(page: Page, server: Server):
    held: list[Route] = []
    content = (server.runs.parent / "pictures" / "0.png").read_bytes()
    names = ["_1.png", "1.png", "a#.png", "a&.png", "\U0001f600.png", "\U0001f601.png", "가" * 150 + ".png"]
    page.route("**/api/data/checks", lambda route: route.fulfill(status=400, json={"detail": "not now"}))
    page.route("**/api/data/sets/*/files", lambda route: held.append(route))
    page.goto(server.address)
    page.set_input_files(
        ".drop input", [{"name": name, "mimeType": "image/png", "buffer": content} for name in ("named.png", *names)]
    )
    page.wait_for_selector(".drop >> text=Sending 1 of 8: named.png")
    page.click("text=한국어")
    page.wait_for_selector(".drop >> text=8개 중 1번째 보내는 중: named.png")
    assert page.locator(".drop input").is_disabled()
    page.route("**/api/data/sets/*/files", lambda route: route.continue_())
    held[0].continue_()
    page.wait_for_selector(".drop >> text=파일 8개가 새 데이터 named에 들어 있습니다.")
    folder = server.runs.parent / "uploads" / "named"
    assert page.locator(".drop input").is_enabled()
    assert Path(page.input_value("form input[type=text]")) == folder
    kept = ["1-2.png", "1.png", "a_-2.png", "a_.png", "file-2.png", "file.png", "named.png", "가" * 60 + ".png"]
    assert sorted(path.name for path in folder.iterdir()) == kept


def test_one_click_looks_at_the_data_once_and_an_ended_check_is_no_verdict(page: Page, server: Server):
    asked: list[str] = []
    answer = {"state": "checking", "error": "this check was ended for a later one: look at the data again"}

    def start(route: Route) -> None:
        asked.append(route.request.post_data)
        route.fulfill(status=201, json={"id": "x"})

    page.route("**/api/data/checks", start)
    page.route("**/api/data/checks/x", lambda route: route.fulfill(json=answer))
    page.goto(server.address)
    page.fill("form input[type=text]", "pictures")
    page.click("button:text-is('Look at the data')")  # first the field changes, then the button is clicked
    page.wait_for_selector(".check >> text=Looking at the data")
    assert len(asked) == 1
    answer["state"] = "ended"
    page.wait_for_selector("[data-check=ended]")
    assert page.inner_text(".check [role=status]") == answer["error"]
    page.click("button:text-is('Look at the data')")
    wait_for(lambda: page.evaluate("1") and len(asked) == 2)


def _check_report(data: str, **settings: object) -> dict[str, object]:
    """Return what a check says of data that can be used, with this advice."""
    advice = {"command": "dcgan train", "settings": settings, "minutes": 51, "hours": 1, "seconds_per_step": 0.1}
    advice |= {"device": "cpu", "size": [32, 32], "reasons": [], "expect": None}
    report = {"data": data, "pictures": 40, "channels": 3, "classes": {}, "broken": [], "notices": [], "advice": advice}
    return report | {"duplicates": 0, "near_duplicates": 0, "parts": {"train": 36, "validation": 2, "test": 2}}


def test_all_of_the_advice_is_used_until_other_data_are_chosen(page: Page, server: Server):
    started: list[dict[str, object]] = []

    def start(route: Route) -> None:
        if route.request.method == "GET":
            route.continue_()
        else:
            started.append(route.request.post_data_json)
            route.fulfill(status=400, json={"detail": "not now"})

    settings = {"image_size": "32", "batch_size": 8, "fit": "pad"}
    report = _check_report("wide", preset="match", **settings)
    page.route("**/api/runs", start)
    page.route("**/api/data/checks", lambda route: route.fulfill(status=201, json={"id": "x"}))
    page.route("**/api/data/checks/x", lambda route: route.fulfill(json={"state": "done", "report": report}))
    page.goto(server.address)
    page.fill("form input[type=text]", "wide")
    page.click("button:text-is('Look at the data')")
    page.click("button:text-is('Use the advice')")
    page.wait_for_selector("text=Also from the advice: --image-size 32 --batch-size 8 --fit pad")
    page.click("text=한국어")
    page.wait_for_selector("text=추천에서 함께 쓰는 설정: --image-size 32 --batch-size 8 --fit pad")
    page.fill("form input[type=number]", "7")
    page.click("form button.main")
    wait_for(lambda: page.evaluate("1") and started)
    assert started == [{"preset": "match", "data": "wide", "minutes": 7, **settings}]
    page.fill("form input[type=text]", "other")
    assert page.locator("text=추천에서 함께 쓰는 설정").count() == 0
    page.locator("form button.main:enabled").click()
    wait_for(lambda: page.evaluate("1") and len(started) == 2)
    assert started[1] == {"preset": "match", "data": "other", "minutes": 7}


def test_a_training_that_is_stopped_while_it_loads_is_no_error(page: Page, server: Server):
    runs = {"name": "new", "runs": [], "failed": {}, "shipped": [], "presets": {}, "default_preset": "fast"}
    page.route("**/api/runs", lambda route: route.fulfill(json=runs))
    page.route("**/api/runs/new", lambda route: route.fulfill(json={"state": "loading"}))
    page.goto(server.address)
    page.click("form button.main")
    page.wait_for_selector("form [role=status]:text('The process has started')")
    page.route("**/api/runs/new", lambda route: route.fulfill(status=404, json={"detail": "there is no run 'new'"}))
    page.wait_for_selector("form button.main:enabled")
    assert page.locator("form > fieldset > [role=status]").inner_text() == ""


def test_a_start_is_followed_in_another_language_and_not_begun_twice(page: Page, server: Server):
    run: dict[str, object] = {"name": "new", "state": "loading", "last": None, "has_model": False}
    run |= {"charts": [], "events": [], "samples": []}
    answer = {"name": "new", "runs": [], "failed": {}, "shipped": [], "presets": {}, "default_preset": "fast"}
    held: list[Route] = []
    page.route("**/api/runs/new", lambda route: route.fulfill(json=run))
    page.route(
        "**/api/runs",
        lambda route: held.append(route) if route.request.method == "POST" else route.fulfill(json=answer),
    )
    page.goto(server.address)
    page.click("form button.main")
    page.wait_for_selector("form [role=status]:text('Starting')")
    page.click("text=한국어")
    page.wait_for_selector("form [role=status]:text('시작하는 중')")
    assert page.locator("form button.main").is_disabled()
    held[0].fulfill(status=201, json=answer)
    page.wait_for_selector("form [role=status]:text('프로세스가 시작되었습니다')")
    page.click("text=English")
    page.wait_for_selector("form [role=status]:text('The process has started')")
    assert page.locator("form button.main").is_disabled()
    page.click("nav >> text=Learn")
    page.wait_for_selector("[data-figures]")
    run["state"] = "running"
    page.click("nav >> text=Runs")  # who comes back later is not led away
    page.wait_for_selector("form [role=status]:text('Training has begun')")
    page.wait_for_selector("form button.main:enabled")
    assert "#/runs" in page.url
    assert len(held) == 1


def test_a_start_is_followed_from_the_click(page: Page, server: Server):
    page.goto(server.address)
    page.fill("form input[type=number]", "60")
    page.select_option("form select", "vanilla")
    page.click("form button.main")
    page.wait_for_selector("form [role=status]:text('Starting'), form [role=status]:text('has started')")
    page.wait_for_url("**/#/watch/vanilla-mnist-1")
    page.wait_for_selector("[data-state=running]")
    page.click("button:text-is('Stop')")
    wait_for(lambda: page.get_attribute("[data-state]", "data-state") == "stopped")


def test_a_page_follows_a_start_by_its_own_clock(page: Page, server: Server):
    """The clock stands still unless the test moves it; the answers about the training are those of the test."""
    run: dict[str, object] = {"name": "new", "state": "loading", "last": None, "has_model": False}
    run |= {"charts": [], "events": [], "samples": []}
    page.route("**/api/runs/new", lambda route: route.fulfill(json=run))
    page.clock.install()
    page.goto(server.address)
    page.wait_for_selector("form button.main")
    page.clock.pause_at(datetime.now() + timedelta(hours=1))
    page.route(
        "**/api/runs", lambda route: route.fulfill(json={"name": "new", "runs": [], "failed": {}, "shipped": []})
    )
    page.click("form button.main")
    page.wait_for_selector("form [role=status]:text('The process has started')")
    run["state"] = "running"
    page.clock.run_for(500)
    page.wait_for_url("**/#/watch/new")
    page.wait_for_selector("[data-state=running]")
    points = [[1600, 0.7]]
    run["charts"] = [{"key": "losses", "title": "Losses", "curves": [{"name": "Loss_D", "points": points}]}]
    page.clock.run_for(1000)
    page.wait_for_selector("svg.chart circle")
