"""The last look: 400 fakes against the 400 TEST pictures, by Lite2 and the package's `random` at full size, with bootstrap intervals of the nearness to training pictures.

python final.py FAKES.npz...
"""

import json, os, sys
import numpy as np, torch
import measure
from gauge import colours, features, reference

torch.set_num_threads(1)
d = np.load(measure.DATA)
file = measure.DATA.replace(".npz", "_final.pt")
if not os.path.exists(file):
    torch.save({"test": features(d["test"]), "train": reference()["train"]}, file)
ref = torch.load(file)
power = measure.spectrum(d["test"])
pick = torch.randperm(len(d["train"]), generator=torch.Generator().manual_seed(0))[:400]
train, test = ref["train"]["lite2"][pick], ref["test"]["lite2"]


def memory(x, generator):
    """Ratio of the mean distances to the nearest of 400 training and of 400 test pictures, bootstrap 95% over the fakes."""
    n = min(len(train), len(test))
    a, b = torch.cdist(x, train[:n]).min(1).values, torch.cdist(x, test[:n]).min(1).values
    picks = torch.randint(len(x), (2000, len(x)), generator=generator)
    r = a[picks].mean(1) / b[picks].mean(1)
    return [round(float(v), 3) for v in (a.mean() / b.mean(), r.quantile(0.025), r.quantile(0.975))]


for name in sys.argv[1:]:
    fakes = np.load(name)["fakes"][:400]
    found, out = features(fakes), {"n": len(fakes)}
    out["kid"] = {k: round(1000 * measure.kid(found[k], ref["test"][k]), 1) for k in found}
    out["pr"] = [round(v, 3) for v in measure.precision_recall(found["lite2"][:400], test)]
    out["power"] = {k: round(v / power[k], 2) for k, v in measure.spectrum(fakes).items()}
    out["memory, 95%"] = memory(found["lite2"], torch.Generator().manual_seed(1))
    near, held = (
        torch.cdist(found["lite2"], ref["train"]["lite2"]).min(1).values,
        torch.cdist(test, ref["train"]["lite2"]).min(1).values,
    )
    held = held[held > 1e-6]
    out["to_train"], out["copies"] = (
        round(float(near.median() / held.median()), 2),
        round(float((near < held.quantile(0.05)).double().mean()), 3),
    )
    print(name, json.dumps(out | colours(fakes)), flush=True)
