"""Train one recipe: flags choose the parts (`recipes.py`), marks of images say when 400 fakes are measured and drawn.

nice -n 19 python train.py NAME --images 20000 [--d projected] [--up nearest] ...     # writes out/NAME/
"""

import argparse
import copy
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import recipes
from dcgan.training.ema import estimate_batchnorm
from measure import DATA, measure, save_grid

torch.set_num_threads(1)


def arguments(more=lambda p: None):
    p = argparse.ArgumentParser()
    add = p.add_argument
    add("name")
    add("--images", type=int, default=20_000)
    add("--marks", type=lambda s: [int(v) for v in s.split(",")], default=[])
    add("--batch", type=int, default=32)
    add("--seed", type=int, default=0)
    # generator
    add("--widths", type=lambda s: [int(v) for v in s.split(",")], default=[256, 192, 96, 48, 24])
    add("--up", default="nearest")
    add("--extra", type=int, default=0)
    add("--no-excite", action="store_true")
    add("--no-noise", action="store_true")
    add("--z", type=int, default=128)
    add("--groups", type=int, default=0)
    add("--anchors", type=int, default=0, help="neighbours a picture's place in the space of looks stands for")
    add("--looks", type=int, default=64)
    add("--jitter", type=float, default=0.2)
    add("--g-lr", type=float, default=1e-3)
    add("--d-lr", type=float, default=1e-3)
    add("--lr-end", type=float, default=1.0)
    add("--betas", type=lambda s: tuple(float(v) for v in s.split(",")), default=(0.0, 0.99))
    add("--ema", type=float, default=10_000)
    # discriminator on frozen features, and on pixels
    add("--levels", type=lambda s: tuple(int(v) for v in s.split(",")), default=(0, 1, 2, 3))
    add("--feed", type=int, default=64)
    add("--heads", type=float, default=1.0, help="weight of the projected discriminator's loss for G, 0: none")
    add("--d-width", type=int, default=64)
    add("--mixed", type=int, default=32)
    add("--no-sn", action="store_true")
    add("--pixel", type=float, default=0.0, help="weight of a discriminator on pixels")
    add("--pixel-width", type=int, default=16)
    add("--loss", default="hinge", choices=("hinge", "logistic", "relativistic"))
    add("--r1", type=float, default=0.0, help="on projected features and pixels, every fourth step, times four")
    add("--blind", action="store_true", help="the heads are not told the group")
    add("--aug", default="color,translation,cutout")
    add("--aug-p", type=float, default=1.0)
    add("--ada", type=float, default=0.0, help="share of reals scored above 0 that the augmentation aims at")
    # matching
    add("--drift", type=float, default=0.0)
    add("--temperatures", type=lambda s: tuple(float(v) for v in s.split(",")), default=(0.05, 0.1, 0.2))
    add("--queue", type=int, default=0, help="fakes before these that drive away too")
    add("--joint", type=float, default=0.0)
    add("--split", type=float, default=0.0)
    add(
        "--shift",
        type=int,
        default=0,
        help="pictures are moved by 0 to so many pixels before matching, a step at a time",
    )
    add("--share", action="store_true", help="drifting's features serve the heads too; reals' come from a bank")
    add("--drop", type=float, default=0.3)
    add("--fuzz", type=float, default=0.2)
    add("--moments", type=float, default=0.0)
    add("--sliced", type=float, default=0.0)
    add("--init", default="", help="state.pt of another run")
    more(p)
    return p.parse_args()


def up_kinds(a):
    last = getattr(a, "smooth", 0)
    n = len(a.widths) - 1
    return [a.up] * (n - last) + ["bilinear"] * last


class Run:
    def __init__(self, a):
        torch.manual_seed(a.seed)
        self.a, self.out = a, Path("out") / a.name
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "flags.json").write_text(json.dumps(vars(a)))
        data = np.load(DATA)["train"]
        pixels = torch.from_numpy(data).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.pixels = pixels.contiguous(memory_format=torch.channels_last)
        self.frozen = recipes.Frozen(a.levels, a.feed)
        self.frozen.calibrate(self.pixels[:256])
        k = a.groups
        file = Path(
            DATA.replace(
                ".npz",
                f"_{a.groups}_{a.anchors}_{a.looks}_{a.shift}_{a.feed}_{len(a.levels)}_{int(getattr(a, 'fine', False))}.cache",
            )
        )
        if not file.exists():
            told = self.sort(k) if k else torch.zeros(len(self.pixels), dtype=torch.long)
            self.told = told
            table, near = self.neighbours() if a.anchors else (None, None)
            torch.save((told, table, near, self.cache()), file)
        self.told, self.table, self.near, bank = torch.load(file)
        self.g = recipes.Generator(
            a.widths, a.z, k, a.looks if a.anchors else 0, up_kinds(a), not a.no_excite, a.extra, noise=not a.no_noise
        )
        self.g = self.g.to(memory_format=torch.channels_last)
        self.d = recipes.Projected(
            self.frozen.channels, a.feed, a.levels, a.d_width, a.mixed, 0 if a.blind else k, not a.no_sn
        ).to(memory_format=torch.channels_last)
        self.pd = recipes.PixelD(a.pixel_width, 0 if a.blind else k, not a.no_sn).to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.g).eval().requires_grad_(False)
        adam = lambda ps, lr: torch.optim.Adam([q for q in ps if q.requires_grad], lr, a.betas, fused=True)
        self.opt_g = adam(self.g.parameters(), a.g_lr)
        self.opt_d = adam([*self.d.heads.parameters(), *self.pd.parameters()], a.d_lr)
        self.seen, self.p, self.steps, self.order = 0, a.aug_p, 0, torch.empty(0, dtype=torch.long)
        self.bank = bank if a.drift or a.moments or a.sliced else None
        self.maps = self.cache_maps() if a.share else None
        self.queue = [b[:0] for b in self.bank[0, 0]] if self.bank else []
        if a.init:
            self.load(a.init)
        self.spent, self.parts, self.log = 0.0, {}, []

    @torch.no_grad()
    def described(self):
        """How each real picture looks, (N, D): pooled deep features beside the picture made small, each of mean length 1."""
        deep = torch.cat([self.frozen(p)[-1].mean((2, 3)) for p in self.pixels.split(64)])
        small = F.adaptive_avg_pool2d(self.pixels, 8).flatten(1)
        unit = lambda v: (v - v.mean(0)) / (v - v.mean(0)).square().sum(1).mean().sqrt()
        return torch.cat([unit(deep), unit(small)], 1)

    @torch.no_grad()
    def neighbours(self):
        """Each picture's place in the space of looks (N, looks), and its nearest pictures, itself the first (N, anchors)."""
        x = self.described()
        u, s, _ = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        table = u[:, : self.a.looks] * s[: self.a.looks]
        return table / table.square().mean().sqrt(), torch.cdist(x, x).topk(self.a.anchors, largest=False).indices

    def condition(self, index, source=None):
        """What the generator is told for these pictures, and which reals its fakes are drawn to, (N, M) or None."""
        a, group = self.a, self.told[index]
        if not a.anchors:
            return (group,), (self.told[None] == group[:, None] if a.groups and not a.blind else None)
        rand = lambda *s: torch.rand(*s, generator=source)
        other = self.near[index, (rand(len(index)) * a.anchors).long()]
        if a.groups:  # mixed only within its group
            other = torch.where(self.told[other] == group, other, index)
        self.other, self.mixed = other, rand(len(index))
        looks = torch.lerp(self.table[index], self.table[other], self.mixed[:, None])
        looks = looks + a.jitter * torch.randn(looks.shape, generator=source)
        same = torch.zeros(len(index), len(self.pixels), dtype=torch.bool)
        goals = getattr(self, "goals", a.anchors)
        for rows in (index, other):
            same.scatter_(1, self.near[rows, :goals], True)
        return (group, looks), same

    @torch.no_grad()
    def sort(self, count):
        """Groups of look-alikes: k-means of pooled features beside the picture made small."""
        x = self.described()
        source = torch.Generator().manual_seed(0)
        centres = [x[0]]
        for _ in range(count - 1):
            far = torch.cdist(x, torch.stack(centres)).min(1).values.square()
            centres.append(x[torch.multinomial(far + 1e-9, 1, generator=source)[0]])
        c = torch.stack(centres)
        for _ in range(20):
            near = torch.cdist(x, c).argmin(1)
            c = torch.stack([x[near == k].mean(0) if (near == k).any() else c[k] for k in range(count)])
        return torch.cdist(x, c).argmin(1)

    @torch.no_grad()
    def cache(self):
        """What matching compares, of every real picture, once for each move."""
        return {
            m: [
                torch.cat(v)
                for v in zip(
                    *(self.vectors(self.frozen(x), x) for p in self.pixels.split(64) for x in [self.moved(p, m)])
                )
            ]
            for m in itertools.product(range(self.a.shift + 1), repeat=2)
        }

    def moved(self, x, by):
        """Pictures moved down and right; the edge is repeated."""
        if by == (0, 0):
            return x
        down, right = by
        x = F.pad(x, (right, 0, down, 0), mode="replicate")
        return x[:, :, : x.shape[2] - down, : x.shape[3] - right].contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def cache_maps(self, pixels=None):
        """The frozen features of every real picture, a map for each depth."""
        found = [self.frozen(p) for p in (self.pixels if pixels is None else pixels).split(64)]
        return [torch.cat(v).contiguous(memory_format=torch.channels_last) for v in zip(*found)]

    def blurred(self, maps):
        """Projected features with channels dropped and noise: what stands in for augmentation where maps are shared."""
        out = []
        for f in self.d.project(maps):
            kept = (torch.rand(len(f), f.shape[1], 1, 1) >= self.a.drop).float() / (1 - self.a.drop)
            out.append(f * kept + self.a.fuzz * torch.randn_like(f))
        return out

    def shared_step(self, fake, index, group, same):
        """One update of heads and generator by drifting and heads on the same features; the losses."""
        a = self.a
        by = tuple(torch.randint(a.shift + 1, (2,)).tolist())
        fake = self.moved(fake, by)
        features = self.frozen(fake)
        leaves = [v.detach().requires_grad_() for v in (fake, *features)]
        value = recipes.drift(
            self.vectors(leaves[1:], leaves[0]), self.bank[by], self.queue, a.temperatures, same, a.joint, a.split
        )
        with torch.no_grad():
            mine = self.vectors(leaves[1:], leaves[0])
            self.queue = [torch.cat([q, f])[-a.queue :] if a.queue else q for q, f in zip(self.queue, mine)]
        field = list(torch.autograd.grad(value, leaves))
        with torch.no_grad():
            real = self.blurred([m[index] for m in self.maps])
            seen = self.blurred(leaves[1:])
        penal = a.r1 > 0 and self.steps % 4 == 0
        real = [r.requires_grad_(penal) for r in real]
        sr, sf = self.d(real, group), self.d(seen, group)
        loss_d = recipes.d_loss(sr, sf, a.loss)
        if penal:
            slopes = torch.autograd.grad(sum(s.mean(1).sum() for s in sr), real, create_graph=True)
            loss_d = loss_d + 2 * a.r1 * sum(s.square().flatten(1).sum(1).mean() for s in slopes)
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        self.d.heads.requires_grad_(False)
        sf = self.d(self.blurred(leaves[1:]), group)
        loss_g = recipes.g_loss([s.detach() for s in sr], sf, a.loss)
        slopes = torch.autograd.grad(loss_g, leaves[1:])
        self.d.heads.requires_grad_(True)
        for i, slope in enumerate(slopes, 1):
            field[i] = field[i] + a.heads * field[i].norm() / slope.norm().clamp(min=1e-12) * slope
        self.opt_g.zero_grad()
        torch.autograd.backward([fake, *features], field)
        self.opt_g.step()
        return {
            "g": loss_g.item(),
            "drift": value.item(),
            "d": loss_d.item(),
            "real": (sum(s.mean() for s in sr) / len(sr)).item(),
            "fake": (sum(s.mean() for s in sf) / len(sf)).item(),
            "each": [round((r.mean() - f.mean()).item(), 2) for r, f in zip(sr, sf)],
        }

    @torch.no_grad()
    def heldout_scores(self):
        """The heads' mean score of training and of validation pictures: far apart, they know pictures by heart."""
        pixels = torch.from_numpy(np.load(DATA)["valid"]).permute(0, 3, 1, 2).float() / 127.5 - 1
        held, own = self.cache_maps(pixels), [m[:: len(m) // 100][:100] for m in self.maps]
        return [
            [round(s.mean().item(), 2) for s in self.d(self.d.project(m), torch.zeros(100, dtype=torch.long))]
            for m in (own, held)
        ]

    def vectors(self, features, images):
        """Features as vectors (N, D): whole maps pooled to at most 4x4, means and deviations; and the picture at 16x16."""
        out = [F.adaptive_avg_pool2d(images, 16).flatten(1)]
        if getattr(self.a, "fine", False):  # where things are, more exactly
            out += [
                F.avg_pool2d(images, 2).flatten(1),
                F.adaptive_avg_pool2d(features[1], 8).flatten(1),
                F.adaptive_avg_pool2d(features[2], 8).flatten(1),
            ]
        for f in features:
            out.append(F.adaptive_avg_pool2d(f, min(4, f.shape[-1])).flatten(1))
            out.append(torch.cat([f.mean((2, 3)), f.flatten(2).std(2)], 1))
        return out

    def batch(self):
        if len(self.order) < self.a.batch:
            self.order = torch.cat([self.order, torch.randperm(len(self.pixels))])
        index, self.order = self.order[: self.a.batch], self.order[self.a.batch :]
        return index, self.told[index]

    def clock(self, name, begin):
        now = time.process_time()
        self.parts[name] = self.parts.get(name, 0.0) + now - begin
        return now

    def step(self):
        a, t = self.a, time.process_time()
        begin = t
        index, group = self.batch()
        uses_d = a.heads > 0 or a.pixel > 0
        rate = 1 - (1 - a.lr_end) * self.seen / a.images
        for opt, lr in ((self.opt_g, a.g_lr), (self.opt_d, a.d_lr)):
            opt.param_groups[0]["lr"] = lr * rate * min(1, (self.steps + 1) / 100)
        condition, same = self.condition(index)
        fake = self.g(torch.randn(len(index), a.z), *condition)
        t = self.clock("g forward", t)
        loss_g, told = 0.0, {}
        if a.share:
            told = self.shared_step(fake, index, group, same)
            self.clock("shared step", t)
            return self.finish(index, told, begin)
        if a.drift or a.moments or a.sliced:
            by = tuple(torch.randint(a.shift + 1, (2,)).tolist())
            moved = self.moved(fake, by)
            matched = self.vectors(self.frozen(moved), moved)
            if a.drift:
                value = recipes.drift(matched, self.bank[by], self.queue, a.temperatures, same, a.joint, a.split)
                self.queue = [
                    torch.cat([q, f.detach()])[-a.queue :] if a.queue else q for q, f in zip(self.queue, matched)
                ]
                loss_g = loss_g + a.drift * value
            if a.moments:
                loss_g = loss_g + a.moments * sum(
                    recipes.moments(f, r[index]) / f.shape[1] for f, r in zip(matched, self.bank[by])
                )
            if a.sliced:
                loss_g = loss_g + a.sliced * sum(
                    recipes.sliced(f, r[index]) / f.shape[1] for f, r in zip(matched, self.bank[by])
                )
            t = self.clock("matching", t)
        if uses_d:
            seen_f = recipes.augment(fake, self.p, a.aug)
            seen_r = recipes.augment(self.pixels[index], self.p, a.aug)
            pf, pr = [], []
            if a.heads:
                pf = self.d.project(self.frozen(seen_f))
                with torch.no_grad():
                    pr = self.d.project(self.frozen(seen_r))
            t = self.clock("features forward", t)
            penal = a.r1 > 0 and self.steps % 4 == 0
            in_r = [*pr, seen_r]
            if penal:
                in_r = [v.detach().requires_grad_() for v in in_r]
            score = lambda inputs: (
                ([*self.d(inputs[:-1], group)] if a.heads else []) + (self.pd(inputs[-1], group) if a.pixel else [])
            )
            sr, sf = score(in_r), score([*(v.detach() for v in pf), seen_f.detach()])
            loss_d = recipes.d_loss(sr, sf, a.loss)
            if penal:
                used = in_r if a.heads and a.pixel else in_r[:-1] if a.heads else in_r[-1:]
                slopes = torch.autograd.grad(sum(s.mean(1).sum() for s in sr), used, create_graph=True)
                loss_d = loss_d + 4 * a.r1 / 2 * sum(s.square().flatten(1).sum(1).mean() for s in slopes)
            self.opt_d.zero_grad()
            loss_d.backward()
            self.opt_d.step()
            told = {
                "d": loss_d.item(),
                "real": (sum(s.mean() for s in sr) / len(sr)).item(),
                "fake": (sum(s.mean() for s in sf) / len(sf)).item(),
                "each": [round((r.mean() - f.mean()).item(), 2) for r, f in zip(sr, sf)],
            }
            if a.ada:
                above = float(sum((s.detach() > 0).float().mean() for s in sr) / len(sr))
                self.p = min(1.0, max(0.0, self.p + (0.01 if above > a.ada else -0.01) * a.batch / 64))
                told["p"] = round(self.p, 2)
            t = self.clock("d", t)
            for module in (self.d.heads, self.pd):
                module.requires_grad_(False)
            sf = score([*pf, seen_f])
            weights = [a.heads] * len(pf) + [a.pixel] * (1 if a.pixel else 0)
            real = [s.detach() for s in sr]
            loss_g = loss_g + sum(w * recipes.g_loss([r], [f], a.loss) for w, r, f in zip(weights, real, sf)) / len(sf)
            for module in (self.d.heads, self.pd):
                module.requires_grad_(True)
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        self.clock("g and features backward", t)
        self.finish(index, {"g": loss_g.item(), **told}, begin)

    def finish(self, index, told, begin):
        a = self.a
        self.seen += len(index)
        self.steps += 1
        keep = 0.5 ** (len(index) / min(a.ema, 0.1 * self.seen))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.g.parameters()), 1 - keep)
        self.spent += time.process_time() - begin
        self.log.append(told)

    @torch.no_grad()
    def fakes(self, n=400):
        source = torch.Generator().manual_seed(7)
        z = torch.randn(n + 512, self.a.z, generator=source)
        told, _ = self.condition(torch.randint(len(self.told), (n + 512,), generator=source), source)
        estimate_batchnorm(self.ema, zip(z[n:].split(64), *(v[n:].split(64) for v in told)))
        x = torch.cat([self.ema(*p) for p in zip(z[:n].split(50), *(v[:n].split(50) for v in told))])
        return (x * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

    def save(self):
        names = ("g", "d", "pd", "ema", "opt_g", "opt_d")
        torch.save(
            {n: getattr(self, n).state_dict() for n in names} | {"seen": self.seen, "p": self.p, "steps": self.steps},
            self.out / "state.pt",
        )

    def load(self, path):
        saved = torch.load(path, weights_only=True)
        for n in ("g", "d", "pd", "ema", "opt_g", "opt_d"):
            getattr(self, n).load_state_dict(saved[n])
        self.seen, self.p, self.steps = saved["seen"], saved["p"], saved["steps"]

    def report(self):
        fakes = self.fakes()
        np.savez_compressed(self.out / f"fakes_{self.seen}.npz", fakes=fakes)
        save_grid(fakes, self.out / f"grid_{self.seen}.png")
        line = {
            "images": self.seen,
            "ms": round(1000 * self.spent / max(1, len(self.log) * self.a.batch), 2),
            **measure(fakes),
        }
        line["parts"] = {k: round(1000 * v / (len(self.log) * self.a.batch), 2) for k, v in self.parts.items()}
        if self.maps:
            line["scores of training and validation"] = self.heldout_scores()
        with (self.out / "log.txt").open("a") as f:
            f.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        self.save()

    def train(self):
        marks = sorted({m for m in self.a.marks if m < self.a.images} | {self.a.images})
        while self.seen < self.a.images:
            self.step()
            if self.steps % 50 == 0:
                last = self.log[-50:]
                mean = {
                    k: round(sum(e[k] for e in last) / len(last), 3)
                    for k in last[0]
                    if not isinstance(last[0][k], list)
                }
                print(
                    self.seen,
                    f"{1000 * self.spent / len(self.log) / self.a.batch:.1f} ms",
                    mean,
                    last[-1].get("each"),
                    flush=True,
                )
            if marks and self.seen >= marks[0]:
                marks.pop(0)
                self.report()


if __name__ == "__main__":
    Run(arguments()).train()
