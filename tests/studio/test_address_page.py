"""What pages do with addresses: names that nothing has, values that are none, other languages."""

import pytest
from playwright.sync_api import Page

from tests.studio.conftest import Server, wait_for


@pytest.fixture(scope="module")
def server(server_of_two_runs: Server) -> Server:
    return server_of_two_runs


@pytest.mark.parametrize("name", ["watch", "play", "draw", "quiz", "compare"])
def test_a_page_of_a_name_that_nothing_has_leads_on(page: Page, server: Server, name: str):
    page.goto(f"{server.address}#/{name}/nosuch?to=two")
    page.wait_for_selector("main [role=alert] .bad, main .bad[role=alert]")
    assert page.locator("main h2").count() == 1
    assert "nosuch" in page.inner_text("main .bad")
    assert page.input_value("main select") == "nosuch"
    assert page.locator("main option:enabled", has_text="nosuch").count() == 0
    assert page.evaluate("document.querySelector('nav').innerHTML.includes('nosuch')") is False
    page.select_option("main select >> nth=0", "one")
    page.wait_for_url(f"**/#/{name}/one*")
    wait_for(lambda: page.locator("main option", has_text="nosuch").count() == 0)
    page.wait_for_selector("nav a[href='#/play/one']")


DRAWN = {"play": "[data-drawn]", "quiz": ".quiz li >> nth=19", "compare": "[data-compared='0']"}


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "",
        "1e400",
        *(pytest.param(v, marks=pytest.mark.slow) for v in ("1.5", "99999999999999999999", "x", "NaN")),
    ],
)
def test_a_seed_that_is_none_is_replaced(page: Page, server: Server, value: str):
    for name, drawn in DRAWN.items():
        page.goto(f"{server.address}#/{name}/one?to=two&seed={value}")
        page.reload()
        page.wait_for_selector(drawn)
        assert page.locator(".bad").count() == 0
        assert "Input should" not in page.inner_text("main")


@pytest.mark.parametrize(
    "query", ["label=-1", "label=1.5", "label=", "label=10", "mix=1.5", "mix=-1", "mix=3&share=", "n=1.5", "chosen=1.5"]
)
def test_values_of_the_page_play_that_are_none_are_replaced(page: Page, server: Server, query: str):
    page.goto(f"{server.address}#/play/mnist-cgan?{query}")
    page.wait_for_selector("[data-drawn]")
    assert page.locator(".sample").count() == 16
    page.click("button:text-is('Another seed')")  # the address is written anew
    wait_for(lambda: "seed=0&" not in page.url and "n=16" in page.url)
    assert "label" not in page.url
    assert "chosen" not in page.url
    assert ("mix=3&share=0.5" in page.url) == query.startswith("mix=3")


def test_a_latent_that_the_server_does_not_draw_is_replaced(page: Page, server: Server):
    for latent in (",".join(["1e9"] * 8), ",".join([""] * 8)):
        page.goto(f"{server.address}#/play/one?from={latent}")
        page.reload()
        page.wait_for_selector("[data-drawn]")
        assert page.get_attribute(".sample", "aria-label") == "Sample 1"


def test_a_learning_page_that_does_not_exist_is_not_said_to_be_a_file(page: Page, server: Server):
    page.goto(f"{server.address}#/lesson/nosuch")
    page.wait_for_selector("text=There is no such page here.")
    assert page.locator("code").count() == 0
    assert page.locator("main h2").count() == 1
    page.route("**/learn/**", lambda route: route.fulfill(status=404, body=""))  # as an installed package answers
    page.goto(f"{server.address}#/lesson/losses")
    page.wait_for_selector("code:text-is('docs/learn/en/losses.md')")
    page.goto(f"{server.address}#/lesson/nosuch")
    wait_for(lambda: page.locator("code").count() == 0)


def test_a_learning_page_has_a_title_and_stays_where_it_is_in_another_language(page: Page, server: Server):
    page.goto(f"{server.address}#/lesson/difficulties")
    page.wait_for_selector(".lesson h3 >> nth=3")
    assert page.title() == "Why training is difficult · dcgan studio"
    page.evaluate("document.querySelectorAll('.lesson h3')[3].scrollIntoView()")
    page.evaluate("document.querySelector('#tools button').click()")
    wait_for(lambda: page.evaluate("document.documentElement.lang") == "ko" and page.locator(".lesson h3").count() > 3)
    tops = "[...document.querySelectorAll('.lesson h3')].map(e => e.getBoundingClientRect().top)"
    wait_for(lambda: abs(page.evaluate(tops)[3]) < 100)
    assert "Why" not in page.title()


def test_figures_that_did_not_load_are_loaded_on_the_next_visit(page: Page, server: Server):
    page.route("**/gan.js", lambda route: route.abort())
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("main .bad:has-text('gan.js')")
    page.route("**/gan.js", lambda route: route.continue_())
    page.goto(f"{server.address}#/watch/one")
    page.wait_for_selector("img.grid")
    page.goto(f"{server.address}#/learn")
    page.wait_for_selector("[data-figures]")


COVERED = """() => {
    const { left, top, width, height } = document.activeElement.getBoundingClientRect();
    const seen = document.elementFromPoint(left + width / 2, top + height / 2);
    const part = document.activeElement.closest("label") || document.activeElement;
    return part.contains(seen) ? "" : document.activeElement.outerHTML.slice(0, 200);
}"""


@pytest.mark.parametrize("address", ["play/mnist-cgan", "quiz/one"])
def test_the_focus_is_never_under_what_stays_in_sight(page: Page, server: Server, address: str):
    page.goto(f"{server.address}#/{address}")
    page.wait_for_selector("[data-drawn], .quiz li:nth-child(20)")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("[...document.querySelectorAll('main button, main input')].at(-1).focus()")
    for _ in range(25):
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(COVERED) == ""
