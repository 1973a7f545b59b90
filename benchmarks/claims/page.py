"""docs/claims.md, from what is stored in docs/claims.json: nothing in it is written by hand."""

import itertools
import math
from collections.abc import Callable
from typing import Any

Found = dict[str, Any]
LN2 = math.log(2)

HEAD = """# The claims of the study's document, measured

The document that this package grew from explains DCGAN and says what it does better. Each of its claims stands here
beside what was measured. Written by `python -m benchmarks.claims page` from `docs/claims.json`, where the figures are.

| | the document | measured | |
|---|---|---|---|
"""
CLAIMS = {
    "a": "DCGAN draws much better digits than the vanilla GAN",
    "b": "a lower generator loss means finer pictures",
    "c": "training is unstable; WGAN with gradient penalty cures it",
    "d": "a conditional GAN draws the class that one asks for",
    "e": "when all goes well D(x) and D(G(z)) end at 1/2",
    "f": "at first log(1 - D(G(z))) hardly has a gradient; maximising D(G(z)) has a larger one",
    "g": "each layer doubles (G) or halves (D) the size",
    "h": "the generator's loss is log(1 - D(G(z))); at the goal P_data = P_z",
}


LONGER = """

These runs are shorter than the document's 11,500 steps. Both networks after as many, a seed of each:
[results](results.md#the-studys-own-run-11500-steps)."""


def written(stored: Found) -> str:
    """The whole page."""
    rows, details = [], []
    for letter, claim in CLAIMS.items():
        verdict, short, detail = ROWS[letter](stored)
        rows.append(f"| {letter} | {claim} | {short} | **{verdict}** |")
        if detail:
            details.append(f"## ({letter}) {claim[0].upper()}{claim[1:]}\n\n{detail}\n")
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(details) + "\n" + _about(stored)


def _about(stored: Found) -> str:
    lines = [
        "## How long it took",
        "",
        "| part | command | date | seconds | threads | load |",
        "|---|---|---|---|---|---|",
    ]
    total = 0.0
    for part, found in stored.items():
        about = found["about"]
        total += about["seconds"]
        cells = [
            part,
            f"`{about['command']}`",
            about["date"],
            f"{about['seconds']:,.0f}",
            about["threads"],
            about["load"],
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        if part == "compared":
            for comparison in found["comparisons"]:
                total += comparison["seconds"]
                lines.append(f"| its runs | | | {comparison['seconds']:,.0f} of training | | |")
    lines.append(
        f"\nIn all {total / 60:,.1f} minutes. Load: the machine's average over a minute; above 2 its cores were shared."
    )
    return "\n".join(lines) + "\n"


Row = tuple[str, str, str]
"""The verdict, a line for the table, and what is below it."""


def _missing(command: str) -> Row:
    return "not measured yet", f"`{command}`", ""


COMPARE = "dcgan compare --out DIR, then python -m benchmarks.claims compared --folder DIR"


def _comparisons(stored: Found) -> list[Found]:
    found = stored.get("compared", {}).get("comparisons", [])
    return found if isinstance(found, list) else []


def _equal(comparison: Found) -> str:
    how = comparison["how"]
    return f"{how['amount']:g} {how['unit']} each"


def _spread(found: Found) -> str:
    low, high = found["low"], found["high"]
    between = "" if low is None else f" ({low:.3g} to {high:.3g})"
    return f"{found['mean']:.3g}{between}"


def _a(stored: Found) -> Row:
    lines, verdicts = [], []
    for comparison in _comparisons(stored):
        for metric, found in comparison["better_digits"].items():
            title = "Fréchet distance" if metric.startswith("frechet") else "judge's certainty"
            is_told = found["p"] <= 0.05
            dcgan, vanilla = found["dcgan"], found["vanilla"]
            is_better = (dcgan["mean"] < vanilla["mean"]) == metric.startswith("frechet")
            verdicts.append((is_better, is_told))
            lines.append(
                f"- at {_equal(comparison)}, {title}: dcgan {_spread(dcgan)}, vanilla {_spread(vanilla)}; exact "
                f"permutation test p = {found['p']:.2g} ({len(dcgan['each'])} and {len(vanilla['each'])} seeds)"
            )
    if not lines:
        return _missing(COMPARE)
    if not any(is_told for _, is_told in verdicts):
        verdict = "cannot tell"
    elif all(is_better for is_better, is_told in verdicts if is_told):
        verdict = "true here"
    elif not any(is_better for is_better, is_told in verdicts if is_told):
        verdict = "disagrees"
    else:
        verdict = "depends on what is equal"
    return verdict, "; ".join(line[2:] for line in lines[:2]), "\n".join(lines) + LONGER


def _b(stored: Found) -> Row:
    zero, lines, overall = stored.get("toy", {}).get("blind"), [], []
    for comparison in _comparisons(stored):
        found = comparison["loss_and_distance"]
        within = [value for value in found["within"].values() if value is not None]
        parts = [f"{sum(within) / len(within):+.2f} on average within a run"] if within else []
        for key, n in (("over_ends", "ends"), ("over_all", "moments")):
            parts += [] if found[key] is None else [f"{found[key]:+.2f} over {found[n]} {n} of runs"]
        overall += [] if found["over_all"] is None else [found["over_all"]]
        lines.append(f"- at {_equal(comparison)}: {', '.join(parts)}")
    if not zero and not lines:
        return _missing(COMPARE)
    title = "rank correlation (Spearman) of Loss_G and Fréchet distance"
    detail = f"The {title}, of the presets whose Loss_G is -log D(G(z)); +1 would bear the claim out:\n\n" + "\n".join(
        lines
    )
    if not lines:
        detail = f"The {title} over checkpoints and presets is not measured yet: `{COMPARE}`."
    blind = ""
    if zero:
        blind = (
            f"D ≡ 1/2 has Loss_D {zero['loss_d']:.4f} and Loss_G {zero['loss_g']:.4f}, ln 2 both, whatever G draws: in "
            f"the toy of (e) at a Fréchet distance of {zero['distance_to_data']:.2f}"
        )
    short = f"{title} {lines[0][2:]}" if lines else blind
    # the counterexample alone refutes it as a rule; how it holds on the average the correlation says
    verdict = "not as a rule" if overall and min(overall) > 0.5 else "disagrees"
    return verdict, short, f"{detail}\n\n{blind}." if blind else detail


def _c(stored: Found) -> Row:
    found = stored.get("stability")
    if not found:
        return _missing("python -m benchmarks.claims stability --folder DIR")
    table = ["| recipe | normalisation | learning rate | ended well | distances |", "|---|---|---|---|---|"]
    shares: dict[str, list[bool]] = {}
    groups: dict[tuple[str, str, float], list[Found]] = {}
    for run in found["runs"]:
        shares.setdefault(run["recipe"], []).append(run["well"])
        groups.setdefault((run["recipe"], run["norm"], run["rate"]), []).append(run)
    for (recipe, norm, rate), runs in groups.items():
        distances = ", ".join("diverged" if run["distance"] is None else f"{run['distance']:.3g}" for run in runs)
        table.append(
            f"| {recipe} | {norm} | {rate:g} | {sum(run['well'] for run in runs)} of {len(runs)} | {distances} |"
        )
    counts = {recipe: f"{recipe} {sum(well)} of {len(well)}" for recipe, well in shares.items()}
    steadier = sum(shares["WGAN-GP"]) / len(shares["WGAN-GP"]) - sum(shares["DCGAN"]) / len(shares["DCGAN"])
    verdict = "true here" if steadier > 0 else "disagrees" if steadier < 0 else "no difference"
    how = (
        f"A run ends well below a Fréchet distance of {found['good']:g} after {found['images']:,} images, of which "
        "a step of WGAN-GP's generator takes five times as many. "
        f"{sum(run['distance'] is None for run in found['runs'])} of {len(found['runs'])} runs diverged."
    )
    return verdict, f"ended well: {', '.join(counts.values())}", how + "\n\n" + "\n".join(table)


def _d(stored: Found) -> Row:
    lines = [
        f"- {preset}, {_equal(comparison)}: the judge sees the class that was asked for in a share of {_spread(found)}"
        for comparison in _comparisons(stored)
        for preset, found in comparison["label_agreement"].items()
    ]
    if not lines:
        return _missing(COMPARE)
    least = min(
        found["mean"] for comparison in _comparisons(stored) for found in comparison["label_agreement"].values()
    )
    verdict = "true here" if least > 0.9 else "partly" if least > 0.5 else "disagrees"
    return verdict, lines[0][2:], "\n".join(lines) + "\n\nReal digits get 0.999; chance is 0.1."


def _e(stored: Found) -> Row:
    toy = stored.get("toy")
    if not toy:
        return _missing("python -m benchmarks.claims toy")
    fixed, ends = toy["fixed_generator"], toy["trained"]
    worst = max(run["mean_distance_from_the_formula"] for run in fixed)
    real, fake = ([run[key] for run in ends] for key in ("d_real", "d_fake"))
    lines = [
        f"Data N(3, 1/2²), G(z) = a z + b, D quadratic in x, so that both optima can be reached. {len(ends)} seeds.",
        "",
        f"- D alone against a fixed G: its mean distance from p_data / (p_data + p_g) is at most {worst:.4f}.",
        f"- Both trained: D(x) {min(real):.3f} to {max(real):.3f}, D(G(z)) {min(fake):.3f} to {max(fake):.3f}; losses "
        f"{ends[0]['loss_d']:.4f} and {ends[0]['loss_g']:.4f} (ln 2 = {LN2:.4f}).",
        f"- G draws N({ends[0]['mean']:.3f}, {ends[0]['deviation']:.3f}²) then.",
    ]
    for comparison in _comparisons(stored):
        lines += [
            f"- Networks on digits, {preset}, {_equal(comparison)}: D(x) {_spread(found['d_real'])}, "
            f"D(G(z)) {_spread(found['d_fake'])}"
            for preset, found in comparison["ends"].items()
        ]
    middle = f"D(x) {sum(real) / len(real):.3f}, D(G(z)) {sum(fake) / len(fake):.3f}"
    short = f"on a toy: {middle}. But 1/2 only says that this D cannot tell (b)"
    return "true where D is the best one", short, "\n".join(lines)


def _f(stored: Found) -> Row:
    found = stored.get("gradients")
    if not found:
        return _missing("python -m benchmarks.claims gradients")
    table = [
        "| preset | seed | step | D(G(z)) | ‖∇‖ of log(1 - D(G(z))) | ‖∇‖ of -log D(G(z)) | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for run in found["runs"]:
        for note in run["notes"]:
            ratio = note["non-saturating"] / max(note["minimax"], 1e-30)
            ratios.append((note["step"], ratio, note["d_fake"]))
            table.append(
                f"| {run['preset']} | {run['seed']} | {note['step']} | {note['d_fake']:.3f} | {note['minimax']:.3g} | "
                f"{note['non-saturating']:.3g} | {ratio:.3g} |"
            )
    first = [ratio for step, ratio, _ in ratios if step == 0]
    least, most = min(ratios, key=lambda r: r[1]), max(ratios, key=lambda r: r[1])
    last = max(step for step, _, _ in ratios)
    short = (
        f"-log D(G(z)) over log(1 - D(G(z))), lengths of G's gradient: {min(first):.2f} to {max(first):.2f} at step 0, "
        f"where D(G(z)) is about 1/2; over {last:,} steps {least[1]:.2f} to {most[1]:.2f} (most at step {most[0]:,}, "
        f"D(G(z)) {most[2]:.3f})"
    )
    # a few times as long is what noise between batches makes too; vanishing is another thing
    verdict = "true, but not at the start" if most[1] > 5 else f"not in the first {last:,} steps"
    return (
        verdict,
        short,
        "Trained with -log D(G(z)); both gradients at the same weights, over all weights of G.\n\n" + "\n".join(table),
    )


def _g(stored: Found) -> Row:
    found = stored.get("sizes")
    if not found:
        return _missing("python -m benchmarks.claims sizes")
    seen = {name: "-".join(map(str, heights)) for name, heights in found["seen"].items()}
    is_formula = found["seen"] == found["by_formula"]
    factors = {
        name: ", ".join(f"{b / a:.2f}" for a, b in itertools.pairwise(heights))
        for name, heights in found["seen"].items()
    }
    agrees = "agrees with" if is_formula else "differs from"
    return (
        "disagrees",
        f"G {seen['generator']}, D {seen['discriminator']}",
        f"Factors: G {factors['generator']}; D {factors['discriminator']}. Without padding a kernel adds or takes its "
        f"own edge. The document's size formula {agrees} what the networks make.",
    )


def _h(stored: Found) -> Row:
    found, toy = stored.get("formulae"), stored.get("toy")
    if not found or not toy:
        return _missing("python -m benchmarks.claims formulae toy")
    is_non_saturating = math.isclose(found["generator_code"], found["minus_log_d"], rel_tol=1e-5)
    end = toy["trained"][0]
    detail = (
        f"On the study's untrained networks its `get_gen_loss` gives {found['generator_code']:.6f}; -log D(G(z)) is "
        f"{found['minus_log_d']:.6f}, log(1 - D(G(z))) is {found['log_one_minus_d']:.6f}. Its `get_disc_loss` gives "
        f"{found['discriminator_code']:.6f}, which is -V/2 = {found['minus_half_of_v']:.6f}: half of the text's value, "
        "minimised.\n\n"
        f"In the toy G ends at N({end['mean']:.3f}, {end['deviation']:.3f}²): at a Fréchet distance of "
        f"{end['distance_to_data']:.2g} from P_data and of {end['distance_to_z']:.3g} from P_z = N(0, 1), its start. "
        "P_z never moves. What equals P_data at the optimum is P_g, the distribution of G(z)."
    )
    verdict = "disagrees" if is_non_saturating else "true here"
    return (
        verdict,
        "the code minimises -log D(G(z)); at the optimum P_data = P_g, P_z is the latents' and stays",
        detail,
    )


ROWS: dict[str, Callable[[Found], Row]] = {
    "a": _a, "b": _b, "c": _c, "d": _d, "e": _e, "f": _f, "g": _g, "h": _h,
}  # fmt: skip
