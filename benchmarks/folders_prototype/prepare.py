"""The benchmark's pictures: Noto emoji of 64 px without skin-tone variants, as arrays of test, validation, train."""

import hashlib, json
from pathlib import Path
import numpy as np
from PIL import Image

root = Path("data/package")
emoji = json.loads((root / "emoji.json").read_text())
names = sorted(
    e["image"]
    for e in emoji
    if e["has_img_google"] and not e["unified"].split("-")[0] in ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
)
names = [n for n in names if (root / "img/google/64" / n).is_file()]
pictures, sizes = {}, set()
for n in names:
    rgba = Image.open(root / "img/google/64" / n).convert("RGBA")
    sizes.add(rgba.size)
    white = Image.new("RGBA", rgba.size, "white")
    rgb = Image.alpha_composite(white, rgba).convert("RGB")
    pictures[n] = np.asarray(rgb.resize((64, 64), Image.LANCZOS) if rgb.size != (64, 64) else rgb)
order = sorted(names, key=lambda n: hashlib.sha256(n.encode()).hexdigest())
parts = {"test": order[:400], "valid": order[400:500], "train": order[500:]}
np.savez_compressed(
    "data/emoji.npz",
    **{k: np.stack([pictures[n] for n in v]) for k, v in parts.items()},
    **{k + "_names": np.array(v) for k, v in parts.items()},
)
print(sizes, len(names), {k: len(v) for k, v in parts.items()}, len(set(p.tobytes() for p in pictures.values())))
