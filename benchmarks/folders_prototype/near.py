"""Fakes above the nearest training picture by Lite2 and the nearest by pixels: python near.py FAKES.npz OUT.png"""

import sys
import numpy as np, torch
from PIL import Image
import measure
from gauge import features, reference

torch.set_num_threads(1)
d = np.load(measure.DATA)
f = np.load(sys.argv[1])["fakes"][:36]
by = torch.cdist(features(f)["lite2"], reference()["train"]["lite2"]).argmin(1)
flat = lambda x: torch.from_numpy(x.reshape(len(x), -1)).float()
px = torch.cdist(flat(f), flat(d["train"])).argmin(1)
rows = []
for i in range(0, 36, 12):
    rows += [
        np.concatenate(list(v), 1) for v in (f[i : i + 12], d["train"][by[i : i + 12]], d["train"][px[i : i + 12]])
    ] + [np.zeros((4, 768, 3), np.uint8)]
Image.fromarray(np.concatenate(rows)).save(sys.argv[2])
dist = torch.cdist(flat(f), flat(d["train"])).min(1).values / (64 * 64 * 3) ** 0.5
held = torch.cdist(flat(d["valid"]), flat(d["train"])).min(1).values / (64 * 64 * 3) ** 0.5
print(
    "pixel distance (rms of 255) to the nearest training picture: fakes",
    dist.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75])),
    "validation",
    held.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75])),
)
