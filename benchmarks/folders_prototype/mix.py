"""Drifting beside other losses whose gradients at the pixels are scaled to shares of drifting's; measured on the validation part (`gauge.py`).

./mix.sh NAME --images 10000 --patch 0.4 --thumb 0.2 ...     # flags of train.py and those below
"""

import json, math, sys, time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import recipes, train
from gauge import gauge
from measure import save_grid


def sorted_gap(fake, real):
    """Mean distance of sorted values, row by row: the one-dimensional Wasserstein distances of (D, N) to (D, N), and as many."""
    return (fake.sort(1).values - real.sort(1).values).abs().mean()


class Patches:
    """Sliced Wasserstein distance of patches: random filters of unit norm on pictures at 64, 32 and 16 px.

    `count` filters a scale and step: three of four have mean zero in every channel (structure), half of these
    the same form in all three channels times a random colour; the others are weights of one pixel's colour."""

    def __init__(self, count=32, sizes=(3, 5, 7), scales=(1, 2, 4), stride=4, own=False, every=False, taps=False):
        self.taps = taps
        self.every = every  # scale in every step, else one by chance
        self.count, self.sizes, self.scales, self.stride, self.own = count, sizes, scales, stride, own

    def filters(self, size):
        n = self.count
        w = torch.randn(n, 3, size, size)
        w[::2] = w[::2, :1] * torch.randn(len(w[::2]), 3, 1, 1)
        w[1::4] = 0
        w[1::4, :, size // 2, size // 2] = torch.randn(len(w[1::4]), 3)
        if self.taps:  # products of a low and a high pass: the finest stripes and checkers of every direction
            low, high = ((1, 4, 6, 4, 1), (1, -4, 6, -4, 1)) if size > 3 else ((1, 2, 1), (-1, 2, -1))
            kinds, half = torch.tensor([low, high], dtype=torch.float), len(low) // 2
            rows, cols = torch.tensor([[1, 0, 1], [0, 1, 1]]).repeat(1, n)[:, : len(w[2::4])]
            w[2::4] = 0
            c = size // 2
            w[2::4, :, c - half : c + half + 1, c - half : c + half + 1] = (
                kinds[rows][:, :, None] * kinds[cols][:, None]
            )[:, None] * torch.randn(len(w[2::4]), 3, 1, 1)
        flat = torch.ones(n, 1, 1, 1)
        flat[1::4] = 0
        w = w - flat * w.mean((2, 3), keepdim=True)
        return w / w.flatten(1).norm(dim=1)[:, None, None, None]

    def __call__(self, fake, real):
        total, n = 0.0, len(fake)
        for scale in self.scales if self.every else [self.scales[int(torch.randint(len(self.scales), (1,)))]]:
            both = torch.cat([fake, real])
            if scale > 1:
                both = F.avg_pool2d(both, scale)
            stride = max(1, self.stride // scale)
            size = self.sizes[int(torch.randint(len(self.sizes), (1,)))]
            dy, dx = torch.randint(stride, (2,)).tolist()
            out = F.conv2d(both[:, :, dy:, dx:], self.filters(size), stride=stride)
            spread = out[n:].std((0, 2, 3), keepdim=True).clamp(min=1e-3)
            out = out / spread  # each filter by its own spread, that weak (high) frequencies count like strong ones
            if self.own:  # each fake's values against those of one picture, else all against all
                f, r = out.flatten(2).split(n)
                total = total + (f.sort(2).values - r.sort(2).values).abs().mean()
            else:
                f, r = (v.transpose(0, 1).flatten(1) for v in out.split(n))
                total = total + sorted_gap(f, r)
        return total / (len(self.scales) if self.every else 1)


class Thumbs:
    """Sliced Wasserstein distance of whole pictures at 8x8 and 4x4 px over the batch and a queue, and of their means and deviations."""

    def __init__(self, queue=224, count=64):
        self.queue, self.count, self.kept = queue, count, None

    def vectors(self, x):
        small = F.adaptive_avg_pool2d(x, 8)
        return [
            small.flatten(1),
            F.avg_pool2d(small, 2).flatten(1),
            torch.cat([x.mean((2, 3)), x.flatten(2).std(2), (x.amax(1) - x.amin(1)).mean((1, 2))[:, None]], 1),
        ]

    def __call__(self, fake, real):
        fs, rs = self.vectors(fake), self.vectors(real)
        if self.kept is None:
            self.kept = [(f.detach()[:0], r[:0]) for f, r in zip(fs, rs)]
        total, later = 0.0, []
        for f, r, (qf, qr) in zip(fs, rs, self.kept):
            f, r = torch.cat([f, qf]), torch.cat([r, qr])
            later.append((f.detach()[: self.queue], r[: self.queue]))
            d = F.normalize(torch.randn(f.shape[1], self.count), dim=0)
            a, b = (f @ d).T, (r @ d).T
            spread = b.std(1, keepdim=True).clamp(min=1e-3)
            total = total + sorted_gap(a / spread, b / spread)
        self.kept = later
        return total / len(fs)


def extra_flags(p):
    add = p.add_argument
    add(
        "--patch",
        type=float,
        default=0.0,
        help="share of the patches' sliced distance, of drifting's gradient at the pixels",
    )
    add("--thumb", type=float, default=0.0, help="the same of whole small pictures'")
    add("--own", type=float, default=0.0, help="the same of patches, each fake against a picture it was told of")
    add("--filters", type=int, default=32)
    add("--smooth", type=int, default=0, help="the last so many doublings are bilinear")
    add("--afresh", action="store_true", help="the mean of weights begins again with --init's last weights")
    add(
        "--goals",
        type=int,
        default=0,
        help="of both pictures a fake is told of, so many nearest count as its reals (0: --anchors)",
    )
    add("--fine", action="store_true", help="three more spaces: the picture at 32x32, two depths at 8x8")
    add("--taps", action="store_true", help="a quarter of the patches' filters ask for the finest stripes and checkers")
    add(
        "--ramp",
        type=int,
        default=0,
        help="from 0 images on --split and the shares grow to what is asked for here; goals are 4 before",
    )
    add(
        "--gauss",
        type=int,
        default=0,
        help="looks are drawn from the Gaussian (of this rank) of a group's looks; --goals nearest of the group are its reals",
    )
    add("--keep", action="store_true", help="keep a state for every mark")


class Mix(train.Run):
    def __init__(self, a):
        super().__init__(a)
        self.patches, self.thumbs, self.own = (
            Patches(a.filters, taps=a.taps),
            Thumbs(),
            Patches(a.filters, own=True, taps=a.taps),
        )
        if a.afresh:
            self.ema.load_state_dict(self.g.state_dict())

    def gaussians(self):
        """Of every group the mean of its looks, and (rank, looks) directions as long as their deviations."""
        means, factors = [], []
        for k in range(self.a.groups):
            x = self.table[self.told == k]
            x = x if len(x) else self.table[:1]
            u, s, v = torch.linalg.svd(x - x.mean(0), full_matrices=False)
            f, r = torch.zeros(self.a.gauss, x.shape[1]), min(self.a.gauss, len(s))
            f[:r] = s[:r, None] * v[:r] / max(1, len(x)) ** 0.5
            means.append(x.mean(0))
            factors.append(f)
        return torch.stack(means), torch.stack(factors)

    def condition(self, index, source=None):
        a = self.a
        if not a.gauss:
            return super().condition(index, source)
        if not hasattr(self, "means"):
            self.means, self.factors = self.gaussians()
        group = self.told[index]
        looks = self.means[group] + torch.einsum(
            "nr,nrd->nd", torch.randn(len(index), a.gauss, generator=source), self.factors[group]
        )
        mine = self.told[None] == group[:, None]
        near = torch.cdist(looks, self.table).masked_fill(~mine, 1e6).topk(max(1, a.goals), largest=False).indices
        same = torch.zeros_like(mine).scatter_(1, near, True) & mine
        self.other, self.mixed = near[:, 0], torch.ones(len(index))
        return (group, looks + a.jitter * torch.randn(looks.shape, generator=source)), same

    def step(self):
        a, t = self.a, time.process_time()
        begin = t
        index, group = self.batch()
        rate = 1 - (1 - a.lr_end) * self.seen / a.images
        self.opt_g.param_groups[0]["lr"] = a.g_lr * rate * min(1, (self.steps + 1) / 100)
        grown = min(1.0, self.seen / a.ramp) if a.ramp else 1.0
        self.goals = (a.goals if grown == 1 else 0) or a.anchors
        condition, same = self.condition(index)
        fake = self.g(torch.randn(len(index), a.z), *condition)
        t = self.clock("g forward", t)
        leaf = fake.detach().requires_grad_()
        by = tuple(torch.randint(a.shift + 1, (2,)).tolist())
        moved = self.moved(leaf, by)
        matched = self.vectors(self.frozen(moved), moved)
        value = recipes.drift(matched, self.bank[by], self.queue, a.temperatures, same, a.joint, a.split * grown)
        t = self.clock("features and drift", t)
        (whole,) = torch.autograd.grad(value, leaf)
        length, told = whole.norm(), {"drift": value.item()}
        t = self.clock("their backward", t)
        real = self.pixels[index]
        mine = self.pixels[torch.where(torch.rand(len(index)) < self.mixed, self.other, index)] if a.anchors else real
        for name, share, loss, goal in (
            ("patch", a.patch, self.patches, real),
            ("thumb", a.thumb, self.thumbs, real),
            ("own", a.own, self.own, mine),
        ):
            if share * grown:
                gap = loss(leaf, goal)
                (slope,) = torch.autograd.grad(gap, leaf)
                whole = whole + grown * share * length / slope.norm().clamp(min=1e-12) * slope
                told[name] = gap.item()
                t = self.clock(name, t)
        self.opt_g.zero_grad()
        fake.backward(whole)
        t = self.clock("g backward", t)
        self.opt_g.step()
        self.finish(index, told, begin)
        self.clock("adam, mean", t)

    def report(self):
        fakes = self.fakes(1000)
        np.savez_compressed(self.out / f"fakes_{self.seen}.npz", fakes=fakes)
        save_grid(fakes, self.out / f"grid_{self.seen}.png", 1)
        line = {
            "images": self.seen,
            "ms": round(1000 * self.spent / max(1, len(self.log) * self.a.batch), 2),
            **gauge(fakes),
        }
        line["parts"] = {k: round(1000 * v / (len(self.log) * self.a.batch), 2) for k, v in self.parts.items()}
        with (self.out / "log.txt").open("a") as f:
            f.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        self.save()
        if self.a.keep:
            (self.out / "state.pt").rename(self.out / f"state_{self.seen}.pt")


if __name__ == "__main__":
    Mix(train.arguments(extra_flags)).train()
