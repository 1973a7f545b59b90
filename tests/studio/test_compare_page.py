"""The pages Compare and Learn in a real browser."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from dcgan.run.folder import RunFolder
from tests.studio.conftest import Server, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    for name, mean in (("one", 2.0), ("two", 9.0)):
        shutil.copytree(finished_run.path, runs / name)
        (runs / name / "evaluation").mkdir()
        estimate = {"mean": mean, "low": mean - 1, "high": mean + 1, "real_against_real": 0.5}
        content = {"format_version": 1, "features": "random", "metrics": {"precision": estimate}}
        (runs / name / "evaluation" / "figures.json").write_text(json.dumps(content))
    server = Server(runs)
    yield server
    server.stop()


def test_two_models_draw_from_the_same_latents_and_figures_have_intervals(page: Page, server: Server):
    page.goto(f"{server.address}#/compare/one?to=two&seed=3")
    page.wait_for_selector("[data-compared='3']")
    assert page.inner_text("main [role=status]") == "The same 16 latents."
    pictures = "n => [...document.querySelectorAll('.compared')[n].children].map(c => c.toDataURL())"
    assert page.evaluate(pictures, 0) == page.evaluate(pictures, 1)  # both are copies of one run
    row = page.inner_text("tbody tr").split("\t")
    assert [cell.strip() for cell in row] == [
        "precision ↑", "2 (1 to 3)", "9 (8 to 10)", "0.5", "the intervals do not overlap",
    ]  # fmt: skip
    page.get_by_label("Right").select_option("mnist-dcgan")
    page.wait_for_selector("text=The latents have different lengths")
    page.wait_for_selector("text=mnist-dcgan comes with the package")
    page.go_back()
    page.wait_for_selector("text=The same 16 latents.")
    page.click("text=Blind test of one")
    page.wait_for_selector(".quiz li")
    page.click("nav >> text=Compare")
    page.click("text=한국어")
    page.wait_for_selector("h2:text-is('비교')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_without_figures_names_the_command_that_measures_them(
    page: Page, server: Server, finished_run: RunFolder
):
    for name in ("new", "it's new"):
        shutil.copytree(finished_run.path, server.runs / name)
    page.goto(f"{server.address}#/compare/new?to=it's%20new")
    commands = page.locator("main code")
    commands.nth(1).wait_for()
    assert commands.all_inner_texts() == ["dcgan evaluate RUNS/new", "dcgan evaluate 'RUNS/it'\\''s new'"]
    assert "RUNS is the folder of runs" in page.inner_text("main section >> nth=-1")
    for name in ("new", "it's new"):
        shutil.rmtree(server.runs / name)


def test_each_curve_says_what_it_is_and_leads_to_the_page_learn(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/one")
    page.wait_for_selector("svg.chart")
    assert page.locator(".chart-box").count() == page.locator(".chart-box details.help").count() == 2
    page.click(".chart-box details.help summary >> nth=0")
    page.click(".chart-box details.help a >> nth=0")
    page.wait_for_url("**/#/learn/losses")
    page.wait_for_selector("[data-figures='2']")
    assert page.evaluate("document.activeElement.id") == "topic-losses"


def test_a_learning_page_is_opened_in_both_languages(page: Page, server: Server):
    page.goto(f"{server.address}#/learn/losses")
    page.wait_for_selector("#topic-losses:focus")  # the page has scrolled to it: a click before could miss the link
    page.click("#topic-losses >> text=Read the learning page")
    page.wait_for_selector(".lesson h2:text-is('Losses')")
    assert page.get_attribute("nav a[aria-current]", "href") == "#/learn"
    page.locator(".lesson img").first.scroll_into_view_if_needed()
    wait_for(lambda: page.evaluate("document.querySelector('.lesson img').naturalWidth"))
    page.click(".lesson a[href='#/lesson/difficulties']")
    page.wait_for_selector(".lesson h2:text-is('Why training is difficult')")
    page.goto(f"{server.address}#/lesson/optimum")
    page.wait_for_selector("[data-figures='1'] canvas")  # the figure to play with
    page.click("text=한국어")
    page.wait_for_selector(".lesson h2:text-is('최적점')")
    page.goto(f"{server.address}#/lesson/..%2Fhealth")
    page.wait_for_selector("text=여기에는 이 글이 없습니다")


def test_every_learning_page_is_rendered_as_a_whole(page: Page, server: Server):
    page.goto(f"{server.address}#/lesson/index")
    page.wait_for_selector(".lesson")
    render = """async (text) => {
        const { renderMarkdown } = await import("/markdown.js");
        const article = document.createElement("article");
        article.append(...renderMarkdown(text, { toPage: (target) => `#${target}`, toPicture: (source) => source }));
        const count = (selector) => article.querySelectorAll(selector).length;
        const counts = ["h2, h3, h4", "pre code", "img", "a", "tr", "[data-figure]"].map(count);
        article.querySelectorAll("code").forEach((code) => code.remove());
        return [counts, article.textContent];
    }"""
    for path in sorted((ROOT / "docs" / "learn").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        indented = re.findall(r"(?:(?<=\n\n)|^)    \S", prose)
        (headings, codes, pictures, links, rows, figures), rendered = page.evaluate(render, text)
        assert headings == len(re.findall(r"^#+ ", prose, re.MULTILINE)), path
        assert codes == len(blocks) + len(indented), path
        assert pictures == prose.count("!["), path
        assert links == prose.count("](") - pictures, path
        assert rows == len(re.findall(r"^\|(?!-)", prose, re.MULTILINE)), path
        assert figures == prose.count("data-figure"), path
        assert not re.search(r"\*\*|\]\(|```|<div|<!--|(^|\s)#+ ", rendered), path


def test_without_the_documentation_its_pages_are_named(page: Page, server: Server):
    page.route("**/learn/**", lambda route: route.fulfill(status=404, body=""))  # as an installed package answers
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("#topic-losses code:text-is('docs/learn/en/losses.md')")
    assert page.locator("a[href*='#/lesson']").count() == 0


def test_the_figures_to_play_with_work_in_both_languages(page: Page, server: Server):
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("[data-figures='2']")
    numbers = page.inner_text(".interactive-numbers")
    page.click("button:text-is('100 steps')")
    assert page.inner_text(".interactive-numbers") != numbers
    page.locator("input[name=kernel]").fill("3")
    assert page.locator(".interactive-grid.output text").count() > 0
    page.click("text=한국어")
    page.wait_for_selector("button:text-is('100 step')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
