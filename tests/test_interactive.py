"""The two figures to play with, in a real browser, compared with torch and with finite differences."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import Browser, Page

from dcgan.models.blocks import conv_transpose_size
from docs.build_site import STUDIO_FILES

DOCS = Path(__file__).parent.parent / "docs"
SCRIPTS = ("plot.js", "transposed-convolution.js", "gan.js")
PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{docs}/site.css">
<body class="md-typeset" style="margin: 8px; font: 16px sans-serif">
<div class="interactive" data-figure="{name}"><p>fallback</p></div>
{scripts}
</body>
</html>"""


def open_figure(browser: Browser, folder: Path, name: str, language: str = "en", width: int = 390) -> Page:
    """Open a page that holds one figure; whatever the page asks a server for is an error."""
    scripts = "".join(f'<script src="{STUDIO_FILES.as_uri()}/{script}"></script>' for script in SCRIPTS)
    file = folder / f"{name}-{language}.html"
    file.write_text(PAGE.format(language=language, docs=DOCS.as_uri(), name=name, scripts=scripts), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(120_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else errors.append(request.url))
    page.goto(file.as_uri())
    page.errors = errors  # type: ignore[attr-defined]
    return page


@pytest.fixture
def explorer(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    page = open_figure(browser, tmp_path, "transposed-convolution")
    yield page
    assert page.errors == []  # type: ignore[attr-defined]
    page.close()


@pytest.fixture
def gan(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    page = open_figure(browser, tmp_path, "gan")
    yield page
    assert page.errors == []  # type: ignore[attr-defined]
    page.close()


def choose(page: Page, **values: int) -> None:
    for name, value in values.items():
        page.locator(f"input[name={name}]").fill(str(value))


def shown_counts(page: Page) -> list[list[int]]:
    words = page.locator(".interactive-grid.output text").all_text_contents()
    side = round(len(words) ** 0.5)
    return [[int(word) for word in words[row * side : (row + 1) * side]] for row in range(side)]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "output"),
    [(3, 3, 2, 0, 0), (4, 4, 2, 1, 0), (2, 3, 2, 0, 1), (3, 2, 3, 0, 2), (1, 3, 2, 0, 0), (5, 5, 1, 2, 0)],
)
def test_the_counts_are_those_of_torch(explorer: Page, size: int, kernel: int, stride: int, padding: int, output: int):
    choose(explorer, size=size, kernel=kernel, stride=stride, padding=padding, output=output)
    ones = torch.ones(1, 1, size, size), torch.ones(1, 1, kernel, kernel)
    expected = F.conv_transpose2d(*ones, stride=stride, padding=padding, output_padding=output)[0, 0].int().tolist()
    assert shown_counts(explorer) == expected
    assert explorer.locator(".interactive-formula").inner_text().endswith(f"= {len(expected)}")


def test_the_formula_is_that_of_the_package(explorer: Page):
    for values in itertools.product((1, 4), (1, 3, 4), (1, 2, 3), (0, 1), (0, 1)):
        arguments = dict(zip(("size", "kernel", "stride", "padding", "output"), values, strict=True))
        size = explorer.evaluate("(settings) => dcganFigures.transposedConvolution.outputSize(settings)", arguments)
        if size < 1:  # the package refuses this, and the figure says that no pixel is left
            continue
        input_size, kernel, stride, padding, output = values
        assert size == conv_transpose_size(input_size, kernel, stride, padding=padding, output_padding=output)


def test_pointing_at_a_pixel_marks_the_pixels_that_belong_to_it(explorer: Page):
    """The middle of the output of kernel 3 and stride 2 is touched by 2 x 2 pixels; an input pixel stamps 3 x 3."""
    choose(explorer, size=2, kernel=3, stride=2)
    explorer.locator(".output rect[data-row='2'][data-column='2']").hover()
    assert explorer.locator(".input rect.is-marked").count() == 4
    assert "touched by 4 input pixels" in explorer.locator(".interactive-status").inner_text()
    explorer.locator(".input rect[data-row='0'][data-column='1']").focus()
    marked = explorer.locator(".output rect.is-marked").evaluate_all("rects => rects.map(r => r.dataset.column)")
    assert sorted(marked) == ["2"] * 3 + ["3"] * 3 + ["4"] * 3


def test_arrow_keys_move_from_pixel_to_pixel(explorer: Page):
    explorer.locator(".output rect[data-row='0'][data-column='0']").focus()
    explorer.keyboard.press("ArrowRight")
    explorer.keyboard.press("ArrowDown")
    focused = explorer.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column]")
    assert focused == ["1", "1"]


@pytest.mark.parametrize(
    ("kernel", "stride", "words"),
    [(3, 2, "This is the checkerboard"), (4, 2, "No checkerboard"), (6, 3, "No checkerboard"), (2, 3, "no stamp")],
)
def test_it_says_whether_there_is_a_checkerboard(explorer: Page, kernel: int, stride: int, words: str):
    choose(explorer, kernel=kernel, stride=stride)
    assert words in explorer.locator(".interactive-verdict").inner_text()


def test_what_torch_refuses_cannot_be_chosen(explorer: Page):
    choose(explorer, stride=1, output=2)
    assert explorer.locator("input[name=output]").input_value() == "0"
    choose(explorer, size=1, kernel=1, padding=2)
    assert "lower the padding" in explorer.locator(".interactive-verdict").inner_text()


GRADIENTS = """() => {
  const { Mlp, makeRandom } = dcganFigures.gan;
  const random = makeRandom(3), net = new Mlp([2, 5, 3, 1], random);
  const inputs = Float64Array.from({ length: 8 }, () => 2 * random() - 1);
  const loss = () => net.forward(inputs, 4).reduce((sum, s) => sum + s * s / 2, 0);
  const scores = net.forward(inputs, 4);
  const before = Array.from(net.backward(scores, 4));
  const pairs = [];
  for (const layer of net.layers) {
    for (let k = 0; k < layer.weights.length; k++) {
      const value = layer.weights[k], e = 1e-6;
      layer.weights[k] = value + e; const up = loss();
      layer.weights[k] = value - e; const down = loss();
      layer.weights[k] = value;
      pairs.push([layer.gradient[k], (up - down) / (2 * e)]);
    }
  }
  for (let k = 0; k < inputs.length; k++) {
    const value = inputs[k], e = 1e-6;
    inputs[k] = value + e; const up = loss();
    inputs[k] = value - e; const down = loss();
    inputs[k] = value;
    pairs.push([before[k], (up - down) / (2 * e)]);
  }
  return pairs;
}"""


def test_the_gradients_are_those_of_finite_differences(gan: Page):
    pairs: list[list[float]] = gan.evaluate(GRADIENTS)
    assert len(pairs) > 40
    assert any(abs(exact) > 0.01 for exact, _ in pairs)
    for exact, estimate in pairs:
        assert exact == pytest.approx(estimate, rel=1e-4, abs=1e-6)


LOSSES = """() => Object.entries(dcganFigures.gan.GENERATOR_LOSSES).map(([name, { value, slope }]) =>
  [name, [-6, -1, 0, 2].map((s) => [value(s), slope(s)])])"""


def test_the_losses_are_those_of_the_package(gan: Page):
    from dcgan.training.losses import OBJECTIVES

    for name, values in gan.evaluate(LOSSES):
        for score, (value, slope) in zip((-6.0, -1.0, 0.0, 2.0), values, strict=True):
            s = torch.tensor([[score]], dtype=torch.float64, requires_grad=True)
            loss = OBJECTIVES[name].generator(s)
            loss.backward()
            assert (value, slope) == (pytest.approx(loss.item()), pytest.approx(s.grad.item()))


def game(page: Page, options: dict[str, Any], steps: int) -> dict[str, Any]:
    """Return where a game is after some steps, without the page's own game."""
    result: dict[str, Any] = page.evaluate(
        """([options, steps]) => {
          const game = new dcganFigures.gan.Game(options);
          game.step(steps);
          const average = (values) => values.reduce((a, b) => a + b, 0) / values.length;
          const points = game.points();
          return {
            real: average(game.probabilities(game.shownData)), fake: average(game.probabilities(points)),
            x: average(points.filter((_, i) => i % 2 === 0)), y: average(points.filter((_, i) => i % 2 === 1)),
            xy: average(points.filter((_, i) => i % 2 === 0).map((x, i) => x * points[2 * i + 1])),
            xx: average(points.filter((_, i) => i % 2 === 0).map((x) => x * x)),
            yy: average(points.filter((_, i) => i % 2 === 1).map((y) => y * y)),
            lengths: game.lengths,
          };
        }""",
        [options, steps],
    )
    return result


def test_one_cloud_ends_near_the_optimum(gan: Page):
    for seed in (0, 1):
        end = game(gan, {"data": "blob", "seed": seed}, 1000)
        assert abs(end["real"] - 0.5) < 0.08
        assert abs(end["fake"] - 0.5) < 0.08
        assert (end["x"], end["y"]) == (pytest.approx(0.6, abs=0.25), pytest.approx(-0.4, abs=0.25))
        covariance = end["xy"] - end["x"] * end["y"]  # a G that draws a line has a correlation of 1 or -1
        variances = (end["xx"] - end["x"] ** 2) * (end["yy"] - end["y"] ** 2)
        assert abs(covariance / variances**0.5) < 0.6


def test_with_a_sure_discriminator_the_gradient_of_minimax_is_much_shorter(gan: Page):
    end = game(gan, {"data": "ring", "loss": "minimax", "criticSteps": 20}, 100)
    assert end["fake"] < 0.2
    assert end["lengths"]["non-saturating"] > 3 * end["lengths"]["minimax"]


def test_the_buttons_train_pause_and_start_again(gan: Page):
    steps = "document.querySelector('[data-figure]').game.steps"
    gan.locator("button[name=train]").click()
    gan.wait_for_function(f"{steps} >= 8")
    gan.locator("button[name=train]").click()
    stopped = gan.evaluate(steps)
    gan.wait_for_timeout(200)
    assert gan.evaluate(steps) == stopped
    gan.locator("button[name=step]").click()
    assert gan.evaluate(steps) == stopped + 100
    assert str(stopped + 100) in gan.locator(".interactive-numbers").inner_text()
    gan.locator("select[name=loss]").select_option("minimax")
    assert gan.evaluate(f"[{steps}, document.querySelector('[data-figure]').game.loss]") == [0, "minimax"]


def test_the_field_is_drawn(gan: Page):
    """Blue where D says real, orange where it says fake: after some steps both colors are there."""
    gan.locator("button[name=step]").click()
    shades = gan.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let blue = 0, orange = 0;
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 2] > data[i] + 15) blue++;
            if (data[i] > data[i + 2] + 15) orange++;
          }
          return [blue, orange];
        }"""
    )
    assert min(shades) > 2000


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", ["transposed-convolution", "gan"])
def test_a_phone_shows_them_in_both_languages(browser: Browser, tmp_path: Path, name: str, language: str):
    page = open_figure(browser, tmp_path, name, language)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    text = page.locator(".interactive").inner_text()
    assert ("픽셀" in text or "데이터" in text) == (language == "ko")
    assert page.errors == []  # type: ignore[attr-defined]
    page.close()
