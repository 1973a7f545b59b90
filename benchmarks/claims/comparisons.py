"""Claims (a), (b), (d) and (e): read from the folders of `dcgan compare`."""

from pathlib import Path
from typing import Any

import numpy as np

from dcgan.comparison.statistics import permutation_test, spread_over_seeds
from dcgan.errors import UserError
from dcgan.files import read_json
from dcgan.presets import PRESETS
from dcgan.training.losses import OBJECTIVES

DISTANCE = "frechet_inception_distance"

Run = dict[str, Any]
"""The preset, the seed, and what was measured after each part of the run."""


def summarize_comparisons(folders: list[Path]) -> dict[str, Any]:
    """Return what each comparison says about the claims."""
    if not folders:
        raise UserError("give the folders of comparisons: --folder DIR")
    return {"comparisons": [summarize_comparison(folder) for folder in folders]}


def summarize_comparison(folder: Path) -> dict[str, Any]:
    """Return what one comparison says about the claims."""
    table = read_json(folder / "table.json")
    runs: list[Run] = [
        {"preset": preset, "seed": seed, "parts": read_json(folder / f"{preset}-{seed}" / "parts.json")["parts"]}
        for preset, metrics_by_seed in table["each"].items()
        for seed in metrics_by_seed
    ]
    return {
        "how": table["how"],
        "better_digits": compare_metrics(table["each"], "dcgan", "vanilla"),
        "verdicts": [verdict["text"] for verdict in table["verdicts"]],
        "loss_and_distance": correlate_loss_and_distance(runs),
        "label_agreement": summarize_label_agreement(table["each"]),
        "ends": summarize_ends(runs),
        "seconds": sum(run["parts"][-1]["seconds"] for run in runs),
    }


def compare_metrics(metrics: dict[str, Any], preset_a: str, preset_b: str) -> dict[str, Any]:
    """(a) Compare the Fréchet distance and the judge's certainty of two presets over their seeds.

    Args:
        metrics: by preset, seed and name.
        preset_a: a preset.
        preset_b: another preset.
    """
    results = {}
    for name in (DISTANCE, "certainty"):
        a, b = (
            [run_metrics[name] for run_metrics in metrics.get(preset, {}).values() if name in run_metrics]
            for preset in (preset_a, preset_b)
        )
        if a and b:
            p, least_p = permutation_test(a, b)
            results[name] = {
                preset_a: spread_over_seeds(a).as_json(),
                preset_b: spread_over_seeds(b).as_json(),
                "p": p,
                "least_p": least_p,
            }
    return results


def correlate_loss_and_distance(runs: list[Run]) -> dict[str, Any]:
    """(b) Correlate the ranks of Loss_G and of the distance, within runs, over ends of runs, and over all parts.

    Only presets whose scores are logits are used: the loss of a critic is another quantity.
    """
    runs = _runs_with_probabilities(runs)
    points = {f"{run['preset']}-{run['seed']}": [(p["loss_g"], p[DISTANCE]) for p in run["parts"]] for run in runs}
    ends = [run_points[-1] for run_points in points.values()]
    all_points = [point for run_points in points.values() for point in run_points]
    return {
        "within": {name: rank_correlation(run_points) for name, run_points in points.items()},
        "over_ends": rank_correlation(ends),
        "over_all": rank_correlation(all_points),
        "ends": len(ends),
        "moments": len(all_points),
        "points": all_points,
    }


def _runs_with_probabilities(runs: list[Run]) -> list[Run]:
    return [run for run in runs if OBJECTIVES[PRESETS[run["preset"]].loss].score_kind == "probability"]


def rank_correlation(pairs: list[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation; equal values get their mean rank. None if one side does not vary."""
    if len(pairs) < 3:
        return None
    columns = np.asarray(pairs, np.float64).T
    ranks = [(c[:, None] > c[None]).sum(1) + ((c[:, None] == c[None]).sum(1) - 1) / 2 for c in columns]
    if min(np.ptp(r) for r in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def summarize_label_agreement(metrics: dict[str, Any]) -> dict[str, Any]:
    """(d) Return how often a conditional model draws the requested class, as the judge recognizes it."""
    results = {}
    for preset, metrics_by_seed in metrics.items():
        values = [m["label_agreement"] for m in metrics_by_seed.values() if "label_agreement" in m]
        if values:
            results[preset] = spread_over_seeds(values).as_json()
    return results


def summarize_ends(runs: list[Run]) -> dict[str, Any]:
    """(e) Return the losses and D(x), D(G(z)) at the end of runs, of the presets whose scores are logits."""
    ends: dict[str, list[dict[str, float]]] = {}
    for run in _runs_with_probabilities(runs):
        ends.setdefault(str(run["preset"]), []).append(run["parts"][-1])
    return {
        preset: {
            name: spread_over_seeds([end[name] for end in preset_ends]).as_json()
            for name in ("d_real", "d_fake", "loss_d", "loss_g")
        }
        for preset, preset_ends in ends.items()
    }
