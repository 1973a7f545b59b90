"""(a), (b), (d), (e): read from the folders of `dcgan compare`."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from dcgan.comparison.statistics import permutation_test, spread_over_seeds
from dcgan.errors import UserError
from dcgan.files import read_json
from dcgan.presets import PRESETS
from dcgan.training.losses import OBJECTIVES

DISTANCE = "frechet_inception_distance"


def measured(folders: list[Path]) -> dict[str, Any]:
    """What each comparison says about the claims."""
    if not folders:
        raise UserError("give the folders of comparisons: --folder DIR")
    return {"comparisons": [one(folder) for folder in folders]}


def one(folder: Path) -> dict[str, Any]:
    """One comparison."""
    table = read_json(folder / "table.json")
    runs = [
        {"preset": preset, "seed": seed, "parts": read_json(folder / f"{preset}-{seed}" / "parts.json")["parts"]}
        for preset, each in table["each"].items()
        for seed in each
    ]
    return {
        "how": table["how"],
        "better_digits": better(table["each"], "dcgan", "vanilla"),
        "verdicts": [verdict["text"] for verdict in table["verdicts"]],
        "loss_and_distance": correlations(runs),
        "label_agreement": agreement(table["each"]),
        "ends": ends(runs),
        "seconds": sum(run["parts"][-1]["seconds"] for run in runs),
    }


def better(each: dict[str, Any], name: str, other: str) -> dict[str, Any]:
    """(a) Fréchet distance and the judge's certainty of two presets over seeds."""
    found = {}
    for metric in (DISTANCE, "certainty"):
        a, b = ([run[metric] for run in each.get(preset, {}).values() if metric in run] for preset in (name, other))
        if a and b:
            p, least = permutation_test(a, b)
            found[metric] = {
                name: spread_over_seeds(a).as_json(),
                other: spread_over_seeds(b).as_json(),
                "p": p,
                "least_p": least,
            }
    return found


def correlations(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """(b) Rank correlation of Loss_G with the distance, over the moments of a run and over the ends of runs.

    Of the presets whose Loss_G is -log D(G(z)): a critic's loss is another quantity.
    """
    same = [run for run in runs if OBJECTIVES[PRESETS[run["preset"]].loss].score_kind == "probability"]
    within = {
        f"{run['preset']}-{run['seed']}": spearman([(p["loss_g"], p[DISTANCE]) for p in run["parts"]]) for run in same
    }
    ends = [(run["parts"][-1]["loss_g"], run["parts"][-1][DISTANCE]) for run in same]
    moments = [(p["loss_g"], p[DISTANCE]) for run in same for p in run["parts"]]
    return {
        "within": within,
        "over_ends": spearman(ends),
        "over_all": spearman(moments),
        "ends": len(ends),
        "moments": len(moments),
        "points": moments,
    }


def spearman(pairs: list[tuple[float, float]]) -> float | None:
    """The correlation of the ranks, ties by their mean rank; None where one side does not vary."""
    if len(pairs) < 3:
        return None
    columns = np.asarray(pairs, np.float64).T
    ranks = [(c[:, None] > c[None]).sum(1) + ((c[:, None] == c[None]).sum(1) - 1) / 2 for c in columns]
    if min(np.ptp(r) for r in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def agreement(each: dict[str, Any]) -> dict[str, Any]:
    """(d) How often a conditional model draws the class that it was asked for, as the judge sees it."""
    found = {}
    for preset, runs in each.items():
        values = [run["label_agreement"] for run in runs.values() if "label_agreement" in run]
        if values:
            found[preset] = spread_over_seeds(values).as_json()
    return found


def ends(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """(e) Where D really ends, of the presets whose scores are probabilities."""
    same = [run for run in runs if OBJECTIVES[PRESETS[run["preset"]].loss].score_kind == "probability"]
    return {
        preset: {
            name: spread_over_seeds([run["parts"][-1][name] for run in group]).as_json()
            for name in ("d_real", "d_fake", "loss_d", "loss_g")
        }
        for preset, group in (
            (preset, list(members)) for preset, members in itertools.groupby(same, lambda run: str(run["preset"]))
        )
    }
