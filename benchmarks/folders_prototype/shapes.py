"""The second kind of set: squares, discs, triangles in flat colours on white, turned and moved at random. 300 training, 100 validation, 400 test pictures."""

import numpy as np
from PIL import Image, ImageDraw

r = np.random.default_rng(5)


def draw():
    im = Image.new("RGB", (256, 256), "white")
    d, s, (x, y), t = ImageDraw.Draw(im), r.uniform(36, 84), r.uniform(96, 160, 2), r.uniform(0, 2 * np.pi)
    colour, kind = tuple(int(v) for v in r.integers(0, 220, 3)), r.integers(3)
    if kind == 0:
        d.ellipse([x - s, y - s, x + s, y + s], fill=colour)
    else:
        n, size = (4, s * 1.2) if kind == 1 else (3, s * 1.3)
        d.polygon(
            [(x + size * np.cos(t + 2 * np.pi * i / n), y + size * np.sin(t + 2 * np.pi * i / n)) for i in range(n)],
            fill=colour,
        )
    return np.asarray(im.resize((64, 64), Image.BOX))


all_ = np.stack([draw() for _ in range(800)])
np.savez_compressed("data/shapes.npz", train=all_[:300], valid=all_[300:400], test=all_[400:])
