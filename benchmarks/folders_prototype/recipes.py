"""Generators, discriminators and losses for a few hundred to some thousand colour pictures of 64 pixels on a CPU.

A prototype: every part is chosen by a flag of `train.py`. Pictures are float (N, 3, 64, 64) in [-1, 1], channels_last.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from measure import backbone

# ---------------------------------------------------------------- generators


class UpConv(nn.Module):
    """Doubles the side. `nearest`: pixels repeated, then a 3x3 convolution, computed as the transposed convolution of
    kernel 4 and stride 2 that it equals (4 instead of 9 multiplications an output pixel; every output pixel has weights
    of the same sum, so no checkerboard at the start). `bilinear`: the same with kernel 6 made of (1, 3, 3, 1) and 3x3.
    `plain`: the transposed convolution of DCGAN. `subpixel`: 3x3 convolution and pixel shuffle, ICNR start."""

    def __init__(self, a, b, kind):
        super().__init__()
        self.kind = kind
        size, out = {"plain": (4, b), "subpixel": (3, 4 * b)}.get(kind, (3, b))
        weight = torch.randn(out, a, size, size) * math.sqrt((1 if kind != "plain" else 4) / (a * size * size))
        if kind == "subpixel":
            weight = weight[::4].repeat_interleave(4, 0)
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        w = self.weight
        if self.kind == "plain":
            return F.conv_transpose2d(x, w.transpose(0, 1), stride=2, padding=1)
        if self.kind == "subpixel":
            return F.pixel_shuffle(F.conv2d(x, w, padding=1), 2)
        n, m = w.shape[:2]
        # the flipped kernel, because a transposed convolution turns it around; each row of `fold` spreads one of its 9 weights
        wide = (w.flip(2, 3).transpose(0, 1).reshape(n * m, 9) @ FOLD).view(m, n, 4, 4)
        x = F.conv_transpose2d(x, wide, stride=2, padding=1)
        if self.kind == "bilinear":  # pixels repeated and then blurred by 1, 2, 1
            blur = torch.tensor([0.25, 0.5, 0.25])
            x = F.conv2d(
                F.pad(x, (1, 1, 1, 1), mode="replicate"),
                (blur[:, None] * blur).expand(n, 1, 3, 3).contiguous(),
                groups=n,
            )
        return x


FOLD = torch.zeros(9, 4, 4)
for _i in range(3):
    for _j in range(3):
        FOLD[3 * _i + _j, _i : _i + 2, _j : _j + 2] = 1.0
FOLD = FOLD.view(9, 16)


class Modulated(nn.Module):
    """BatchNorm whose scale and shift follow the style vector w (N, W)."""

    def __init__(self, channels, style):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(style, 2 * channels)
        nn.init.normal_(self.affine.weight, 0, 0.5 / math.sqrt(style))
        nn.init.zeros_(self.affine.bias)

    def forward(self, x, w):
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift, self.norm(x), scale + 1)


class Generator(nn.Module):
    """z and group -> picture. 4 -> 8 -> 16 -> 32 -> 64, one convolution a size (`extra`: one more at 8 and 16)."""

    def __init__(self, widths, z=128, groups=0, looks=0, up="nearest", excite=True, extra=0, style=128, noise=True):
        super().__init__()
        self.z, self.groups = z, groups
        self.embed = nn.Embedding(max(groups, 1), style) if groups or not looks else None
        self.look = nn.Linear(looks, style) if looks else None
        self.map = nn.Sequential(nn.Linear(z + style, style), nn.LeakyReLU(0.2), nn.Linear(style, style))
        self.start = nn.Linear(z + style, widths[0] * 16)
        self.ups = nn.ModuleList(
            UpConv(a, b, kind) for a, b, kind in zip(widths, widths[1:], up if isinstance(up, list) else [up] * 9)
        )
        self.extras = nn.ModuleDict(
            {str(i): nn.Conv2d(c, c, 3, padding=1, bias=False) for i, c in enumerate(widths) if 1 <= i <= extra}
        )
        self.norms = nn.ModuleList(Modulated(c, style) for c in widths)
        self.more = nn.ModuleDict({i: Modulated(widths[int(i)], style) for i in self.extras})
        self.noise = nn.ParameterList(nn.Parameter(torch.zeros(1, c, 1, 1)) for c in widths) if noise else None
        self.excite = (
            nn.ModuleList(
                nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Conv2d(a, b, 4), nn.SiLU(), nn.Conv2d(b, b, 1), nn.Sigmoid())
                for a, b in zip(widths, widths[3:])
            )
            if excite
            else None
        )
        self.rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z, group, looks=None):
        z = F.normalize(z, dim=1) * math.sqrt(self.z)
        told = (self.embed(group) if self.embed is not None else 0) + (self.look(looks) if self.look is not None else 0)
        z = torch.cat([z, told], 1)
        w = self.map(z)
        x = self.start(z).view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
        earlier = []
        for i, norm in enumerate(self.norms):
            if i:
                x = self.ups[i - 1](x)
            if self.noise is not None and self.training:
                x = x + self.noise[i] * torch.randn(len(x), 1, *x.shape[2:])
            x = F.leaky_relu(norm(x, w), 0.2)
            if (k := str(i)) in self.extras:
                x = x + F.leaky_relu(self.more[k](self.extras[k](x), w), 0.2)
            if self.excite is not None and i >= 3:
                x = x * (2 * self.excite[i - 3](earlier[i - 3]))
            earlier.append(x)
        return torch.tanh(self.rgb(x))


# ---------------------------------------------------------------- frozen features


class Frozen(nn.Module):
    """EfficientNet-Lite0, its BatchNorms folded into the convolutions: pictures -> features at some depths.

    Strides 2, 4, 8, 16, 32 have 16, 24, 40, 112, 320 channels. Each is divided by its mean size on real pictures.
    """

    CHANNELS = (16, 24, 40, 112, 320)

    def __init__(self, levels, feed=64):
        super().__init__()
        net = backbone("lite0", features_only=True, out_indices=levels)
        _fold(net)
        self.net, self.levels, self.feed = net.to(memory_format=torch.channels_last), levels, feed
        self.register_buffer("size", torch.ones(len(levels)))
        self.channels = [self.CHANNELS[i] for i in levels]

    def forward(self, x):
        if self.feed != x.shape[-1]:
            x = F.interpolate(x, (self.feed, self.feed), mode="bilinear", align_corners=False)
        return [f / s for f, s in zip(self.net(x), self.size)]

    @torch.no_grad()
    def calibrate(self, x):
        self.size.copy_(torch.stack([f.square().mean().sqrt() for f in self(x)]))


def _fold(net):
    """Each convolution takes in the BatchNorm behind it; what stays of that is its activation."""
    last = None
    for owner in [m for m in net.modules()]:
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.Conv2d):
                last = child
            elif isinstance(child, nn.BatchNorm2d):
                scale = child.weight / (child.running_var + child.eps).sqrt()
                last.weight.data.mul_(scale[:, None, None, None])
                last.bias = nn.Parameter(child.bias - child.running_mean * scale, requires_grad=False)
                act = getattr(child, "act", nn.Identity())
                setattr(owner, name, nn.Sequential(getattr(child, "drop", nn.Identity()), act))


# ---------------------------------------------------------------- discriminators


class Head(nn.Module):
    """Features of one depth -> a map of scores; halved down to 4x4, then 1x1. Told the group by projection."""

    def __init__(self, channels, width, side, groups, sn=True):
        super().__init__()
        wrap = spectral_norm if sn else (lambda m: m)
        width = width // 2 if side > 16 else width
        layers, before = [], channels
        while side > 4:
            layers += [wrap(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
            side, before = side // 2, width
        if before == channels:
            layers += [wrap(nn.Conv2d(channels, width, 1)), nn.LeakyReLU(0.2)]
        layers += [wrap(nn.Conv2d(width, width, min(side, 3), padding=1 if side >= 3 else 0)), nn.LeakyReLU(0.2)]
        self.body, self.score = nn.Sequential(*layers), wrap(nn.Conv2d(width, 1, 1))
        self.groups = nn.Embedding(groups, width) if groups else None
        if groups:
            nn.init.normal_(self.groups.weight, 0, 0.1)

    def forward(self, f, group):
        h = self.body(f)
        s = self.score(h).flatten(1)
        if self.groups is not None:
            s = s + (h * self.groups(group)[:, :, None, None]).sum(1).flatten(1) / math.sqrt(h.shape[1])
        return s


class Projected(nn.Module):
    """Heads on randomly mixed frozen features: (features, group) -> scores (N, S), all heads' maps side by side."""

    def __init__(self, channels, feed, levels, width=64, mixed=32, groups=0, sn=True, cross=True):
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(c, mixed, 1, bias=False) for c in channels).requires_grad_(False)
        for m, c in zip(self.mix, channels):
            nn.init.normal_(m.weight, 0, 1 / math.sqrt(c))
        self.cross = cross
        self.heads = nn.ModuleList(Head(mixed, width, feed // 2 ** (i + 1), groups, sn) for i in levels)

    def project(self, features):
        out, above = [], None
        for f, mix in zip(reversed(features), reversed(self.mix)):
            f = mix(f)
            if self.cross and above is not None:
                f = (f + F.interpolate(above, f.shape[2:], mode="bilinear", align_corners=False)) / math.sqrt(2)
            out.append(above := f)
        return out[::-1]

    def forward(self, projected, group):
        return [head(f, group) for f, head in zip(projected, self.heads)]


class PixelD(nn.Module):
    """A small convolutional discriminator on pictures, `width` channels after the first layer, patch scores."""

    def __init__(self, width=16, groups=0, sn=True, layers=3):
        super().__init__()
        wrap = spectral_norm if sn else (lambda m: m)
        widths = [3] + [width * 2**i for i in range(layers)]
        self.body = nn.Sequential(
            *[m for a, b in zip(widths, widths[1:]) for m in (wrap(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2))]
        )
        self.score = wrap(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.groups = nn.Embedding(groups, widths[-1]) if groups else None

    def forward(self, x, group):
        h = self.body(x)
        s = self.score(h).flatten(1)
        if self.groups is not None:
            s = s + (h * self.groups(group)[:, :, None, None]).mean((2, 3)).sum(1, keepdim=True)
        return [s]


# ---------------------------------------------------------------- losses


def d_loss(real, fake, kind):
    """Mean over heads, each the mean over its scores."""
    if kind == "hinge":
        each = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake)]
    elif kind == "logistic":
        each = [F.softplus(-r).mean() + F.softplus(f).mean() for r, f in zip(real, fake)]
    else:  # relativistic pairs
        each = [F.softplus(f.mean(1) - r.mean(1)).mean() for r, f in zip(real, fake)]
    return sum(each) / len(each)


def g_loss(real, fake, kind):
    if kind == "hinge":
        each = [-f.mean() for f in fake]
    elif kind == "logistic":
        each = [F.softplus(-f).mean() for f in fake]
    else:
        each = [F.softplus(r.mean(1) - f.mean(1)).mean() for r, f in zip(real, fake)]
    return sum(each) / len(each)


def drift(fakes, reals, others, temperatures=(0.05, 0.1, 0.2), same=None, joint=0.0, split=0.0):
    """Drifting (2602.04770): each fake is drawn to reals and driven from other fakes by kernels exp(-distance / T).

    Args:
        fakes: of each feature space the vectors (N, D), with a graph.
        reals: the same of the reals, (M, D).
        others: the same of fakes before these, (Q, D).
        temperatures: as shares of the mean distance between fakes and reals.
        same: (N, M), which reals count for which fake; all without.
        joint: share of the mean of all spaces' distances in each space's own: 1 draws a fake to the same reals in all.
        split: share of the field in which reals' and fakes' weights are normalised apart, a fake being among its own
            repellers; in the rest they are normalised together.
    Returns the mean over spaces of the field's squared length; its gradient is the field.
    """
    if same is not None:  # only reals that count for some fake
        used = same.any(0).nonzero()[:, 0]
        reals, same = [r[used] for r in reals], same[:, used]
    n, m = len(fakes[0]), len(reals[0])
    spaces, distances = [], []
    for fake, real, other in zip(fakes, reals, others):
        x = fake.detach()
        y = torch.cat([real, x, other])
        far = torch.cdist(x, y)
        scale = far[:, :m].mean().clamp(min=1e-6)
        spaces.append((fake, x, y, scale))
        distances.append(far / scale)
    whole, loss = sum(distances) / len(distances), 0.0
    for (fake, x, y, scale), far in zip(spaces, distances):
        far = (1 - joint) * far + joint * whole
        if same is not None:
            far[:, :m].masked_fill_(~same, 1e6)
        field = 0
        for t in temperatures:
            if (
                split > 0
            ):  # drawn to the middle of its reals, driven from fakes by weights of their own, itself among them
                w = torch.cat([(far[:, :m] / -t).softmax(1), -(far[:, m:] / -t).softmax(1)], 1)
                v = w @ y
                field = field + split * v / v.square().sum(1).mean().sqrt().clamp(min=1e-12)
            if split < 1:  # the paper's weights: driven from the middle of all other fakes
                apart = far.clone()
                apart[:, m : m + n] += torch.eye(n) * 1e6
                a = ((apart / -t).softmax(1) * (apart / -t).softmax(0)).sqrt()
                pos, neg = a[:, :m], a[:, m:]
                w = torch.cat([pos * neg.sum(1, keepdim=True), -neg * pos.sum(1, keepdim=True)], 1)
                v = w @ y  # weights of sum 0: the fake itself drops out
                field = field + (1 - split) * v / v.square().sum(1).mean().sqrt().clamp(min=1e-12)
        loss = loss + (fake - (x + field * scale)).square().sum(1).mean() / scale**2 / len(fakes)
    return loss


def moments(fake, real):
    """GFMN: squared differences of means and of standard deviations of every feature at every place."""
    return (fake.mean(0) - real.mean(0)).square().sum() + (fake.std(0) - real.std(0)).square().sum()


def sliced(fake, real, count=256):
    """Sliced Wasserstein distance of vectors (N, D) to as many reals, on random directions."""
    directions = F.normalize(torch.randn(fake.shape[1], count), dim=0)
    return ((fake @ directions).sort(0).values - (real @ directions).sort(0).values).square().mean() * fake.shape[1]


# ---------------------------------------------------------------- augmentation


def augment(x, p=1.0, policy="color,translation,cutout"):
    """DiffAugment, each kind for a share p of the pictures; what a shift uncovers repeats the edge."""
    n, side = len(x), x.shape[-1]
    pick = lambda: (torch.rand(n, 1, 1, 1) < p).float()
    if "color" in policy:
        x = x + (torch.rand(n, 1, 1, 1) - 0.5) * pick()
        gray = x.mean(1, keepdim=True)
        x = gray + (x - gray) * (1 + (torch.rand(n, 1, 1, 1) * 2 - 1) * pick())
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * (1 + (torch.rand(n, 1, 1, 1) - 0.5) * pick())
    if "translation" in policy:
        most = side // 8
        at = torch.randint(-most, most + 1, (2, n, 1)) * (torch.rand(n, 1) < p)
        rows, cols = (at + torch.arange(side)).clamp(0, side - 1)
        x = x.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]].permute(
            0, 3, 1, 2
        )
    if "cutout" in policy:
        hole, at = side // 2, torch.arange(side)
        inside = [(at >= s - hole // 2) & (at < s + hole // 2) for s in torch.randint(0, side + 1, (2, n, 1))]
        hide = inside[0][:, None, :, None] & inside[1][:, None, None, :] & (torch.rand(n, 1, 1, 1) < p)
        x = x.masked_fill(hide, 0)
    return x.contiguous(memory_format=torch.channels_last)
