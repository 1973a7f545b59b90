"""KID by forms of the `random` features: as they are, and standardised by the test pictures; and by the network fed at 64 px."""

import numpy as np, torch, torch.nn.functional as F, measure
from dcgan.metrics.features import RandomVgg

torch.set_num_threads(1)
net = RandomVgg().eval()


@torch.no_grad()
def see(p, side):
    x = torch.from_numpy(np.ascontiguousarray(p)).permute(0, 3, 1, 2).float() / 127.5 - 1
    if side == 32:
        return net(F.interpolate(x, (32, 32), mode="bilinear", antialias=True)).double()
    return net.last(net.body[:-1](x).mean((2, 3))).double()


d = np.load(measure.DATA)
te = d["test"]
sets = {
    "train 0": d["train"][:400],
    "train 1": d["train"][400:800],
    "train 2": d["train"][800:1200],
    "fast 60k": np.load("out/baseline/fakes_60000.npz")["fakes"],
    "drift1 10k": np.load("out/drift1/fakes_10016.npz")["fakes"],
    "hybrid1 25k": np.load("out/hybrid1/fakes_25024.npz")["fakes"],
    "late1 25k": np.load("out/late1/fakes_25024.npz")["fakes"],
}
for side in (32, 64):
    r = see(te, side)
    mu, sd = r.mean(0), r.std(0)
    print(
        side,
        {
            k: (
                round(1000 * measure.kid(f := see(v, side), r), 2),
                round(1000 * measure.kid((f - mu) / sd, (r - mu) / sd), 1),
            )
            for k, v in sets.items()
        },
        flush=True,
    )
