"""Measures on the VALIDATION part (100 pictures), beside the same against the 1,406 training pictures (little noise, but blind to learning by heart).

    python gauge.py FAKES.npz...      # a line of figures each
    python gauge.py floor             # training pictures in the place of fakes
KID x 1000 over all pairs by Lite2 and by the package's `random` at full size. Precision and recall by Lite2, k = 3, of at most 400 fakes
against 400 training pictures ("pr", 400 like the target's protocol) and against validation ("pr_valid", 100 reals: not comparable with 400).
Power is compared with that of all validation and training pictures.
"""

import json, os, sys
from functools import lru_cache
import numpy as np, torch
import measure
from dcgan.metrics.features import open_extractor

torch.set_num_threads(1)


@lru_cache
def _lite2():
    import recipes

    net = measure.backbone("lite2", num_classes=0)
    recipes._fold(net)  # a third faster; the features differ by rounding (2e-5 of 6)
    return net.to(memory_format=torch.channels_last)


@lru_cache
def _random():
    return open_extractor("random")


@torch.no_grad()
def features(pixels):
    lite2 = _lite2()
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    up = lambda p: torch.nn.functional.interpolate(p.float() / 127.5 - 1, (128, 128), mode="bilinear").contiguous(
        memory_format=torch.channels_last
    )
    return {
        "lite2": torch.cat([lite2(up(p)) for p in x.split(50)]).double(),
        "random": _random().extract(x)[0].double(),
    }


def colours(pixels):
    x = pixels.astype(np.float32)
    return {
        "sat": round(float((x.max(3) - x.min(3)).mean()), 1),
        "means": [round(float(v)) for v in x.mean((1, 2)).std(0)],
        "contrast": round(float(x.mean(3).std((1, 2)).mean()), 1),
        "white": round(float((x.min(3) > 245).mean()), 3),
    }


@lru_cache
def reference(data_file=None):
    source = data_file or measure.DATA
    file = source.replace(".npz", "_gauge.pt")
    if not os.path.exists(file):
        d = np.load(source)
        torch.save(
            {
                "valid": features(d["valid"]),
                "train": features(d["train"]),
                "power": measure.spectrum(np.concatenate([d["valid"], d["train"]])),
            },
            file,
        )
    return torch.load(file)


def gauge(fakes):
    ref, found, out = reference(), features(fakes), {"n": len(fakes)}
    for name in ("lite2", "random"):
        out[name] = [round(1000 * measure.kid(found[name], ref[part][name]), 1) for part in ("valid", "train")]
    few = found["lite2"][:400]
    pick = torch.randperm(len(ref["train"]["lite2"]), generator=torch.Generator().manual_seed(3))[:400]
    out["pr"] = [round(v, 3) for v in measure.precision_recall(few, ref["train"]["lite2"][pick])]
    out["pr_valid"] = [round(v, 3) for v in measure.precision_recall(few, ref["valid"]["lite2"])]
    power = measure.spectrum(fakes)
    out["power"] = {k: round(v / ref["power"][k], 2) for k, v in power.items()}
    own, held = (torch.cdist(x, ref["train"]["lite2"]).min(1).values for x in (found["lite2"], ref["valid"]["lite2"]))
    held = held[held > 1e-6]
    out["to_train"], out["copies"] = (
        round(float(own.median() / held.median()), 2),
        round(float((own < held.quantile(0.05)).double().mean()), 3),
    )
    return out | colours(fakes)


if __name__ == "__main__":
    d = np.load(measure.DATA)
    print("colours of validation, train", colours(d["valid"]), colours(d["train"]))
    for file in sys.argv[1:]:
        if file == "floor":
            p = np.random.default_rng(1).permutation(len(d["train"]))
            for part in (p[:700], p[700:1400]):
                print("train as fakes", json.dumps(gauge(d["train"][part])), flush=True)
        else:
            print(file, json.dumps(gauge(np.load(file)["fakes"])), flush=True)
