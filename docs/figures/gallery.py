"""Draw the pictures of the gallery and of the README with the models in the package: `python -m docs.figures.gallery`.

Nothing is trained and, where the title does not say it, nothing is chosen: a grid shows the first samples of seed 0.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import dcgan
from dcgan.data.open import open_images
from dcgan.images import Pixels, make_grid, save_png, to_pillow
from dcgan.metrics.judge.network import judge_images, load_shipped_judge
from docs.figures.style import BACKGROUND, INK

IMAGES = Path(__file__).parents[1] / "images"
PANEL_HEIGHT = 234
"""Height of a panel of the overview, in pixels."""
GAP, TITLE_HEIGHT = 12, 24


def sample(name: str, n: int, label: int | None = None) -> Pixels:
    """Return the first `n` samples (N, H, W, C) of seed 0 of a model in the package."""
    return dcgan.load(name).sample(n=n, seed=0, label=label)


def enlarge(picture: Image.Image, factor: int) -> Image.Image:
    """Return the picture with every pixel as a square of `factor` pixels."""
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def judge_certainty(pixels: Pixels) -> np.ndarray:
    """Return how sure the judge of digits is of the class of each picture (N, H, W, C): its largest probability."""
    _, scores = judge_images(load_shipped_judge(), torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return np.asarray(scores.softmax(1).amax(1))


def draw_best_and_worst() -> None:
    """Draw the 32 samples of 1,000 of which the judge is surest, a random 32, and the 32 of which it is least sure."""
    pixels = sample("mnist", 1000)
    order = np.argsort(-judge_certainty(pixels), kind="stable")
    groups = [order[:32], np.arange(32), order[-32:]]
    panels = [enlarge(to_pillow(make_grid(pixels[group], columns=8)), 2) for group in groups]
    join(panels, ["judge surest", "not chosen", "judge least sure"]).save(
        IMAGES / "gallery-best-worst.png", optimize=True
    )


def draw_models() -> None:
    """Draw a grid of each model in the package."""
    for name in ("mnist", "mnist-dcgan"):
        save_png(make_grid(sample(name, 64), columns=8), IMAGES / f"gallery-{name}.png")
    by_class = sample("mnist-cgan", 120)  # sample i is of class i mod 10
    rows = by_class.reshape(12, 10, *by_class.shape[1:]).swapaxes(0, 1).reshape(by_class.shape)
    save_png(make_grid(rows, columns=12), IMAGES / "gallery-mnist-cgan.png")


def draw_reals() -> None:
    """Draw the first 64 training digits."""
    pixels = open_images("mnist").pixels[:64].permute(0, 2, 3, 1).numpy()
    to_pillow(make_grid(pixels, columns=8)).resize((484, 484), Image.Resampling.NEAREST).save(
        IMAGES / "study-reals.png", optimize=True
    )


def draw_presets() -> None:
    """Cut the last grids of the comparison of presets at equal time out of its figure."""
    figure = Image.open(IMAGES / "compared.png").convert("L")
    names = ("vanilla", "dcgan", "wgan-gp", "cgan", "r3gan", "fast")
    tops = (17, 215, 412, 610, 811, 1009)
    panels = [
        figure.crop((914, top, 1087, top + (183 if name == "cgan" else 173)))
        for name, top in zip(names, tops, strict=True)
    ]
    join(panels, list(names)).save(IMAGES / "gallery-presets.png", optimize=True)


def draw_overview() -> None:
    """Draw what four data sets gave."""
    few, emoji = Image.open(IMAGES / "few.png").convert("RGB"), Image.open(IMAGES / "match-emoji.png").convert("RGB")
    by_class = sample("mnist-cgan", 80)
    rows = by_class.reshape(8, 10, *by_class.shape[1:]).swapaxes(0, 1).reshape(by_class.shape)
    panels = [
        to_pillow(make_grid(sample("mnist", 64), columns=8)),
        to_pillow(make_grid(rows, columns=8)),
        few.crop((524, 0, few.width, few.height)),
        emoji.crop((546, 0, 546 + 266, 266)),  # the upper left corner of the grid after 30,000 images, not chosen
    ]
    titles = ["60,000 digits", "60,000 digits, with labels", "300 digits, from `mnist`", "1,406 emoji, preset `match`"]
    join(panels, titles, height=PANEL_HEIGHT).quantize(256, dither=Image.Dither.NONE).save(
        IMAGES / "overview.png", optimize=True
    )


def join(panels: list[Image.Image], titles: list[str], height: int | None = None) -> Image.Image:
    """Return the panels side by side with a title above each, resized to one height if it is given."""
    if height is not None:
        panels = [
            panel.resize((round(panel.width * height / panel.height), height), Image.Resampling.LANCZOS)
            for panel in panels
        ]
    width = sum(panel.width for panel in panels) + GAP * (len(panels) + 1)
    joined = Image.new("RGB", (width, max(panel.height for panel in panels) + TITLE_HEIGHT + GAP), BACKGROUND)
    draw, font, left = ImageDraw.Draw(joined), ImageFont.load_default(14), GAP
    for panel, title in zip(panels, titles, strict=True):
        draw.text((left, 4), title, fill=INK, font=font)
        joined.paste(panel.convert("RGB"), (left, TITLE_HEIGHT))
        left += panel.width + GAP
    return joined


if __name__ == "__main__":
    draw_models()
    draw_reals()
    draw_best_and_worst()
    draw_presets()
    draw_overview()
