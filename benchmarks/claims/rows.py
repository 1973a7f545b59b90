"""For each claim: the verdict, a summary, and details, all from the stored results."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.claims.stability import RECIPES
from dcgan.comparison.statistics import SIGNIFICANCE_LEVEL, permutation_test
from dcgan.presets import configure

Results = dict[str, Any]

COMPARE_COMMAND = "dcgan compare --out DIR, then python -m benchmarks.claims compared --folder DIR"
CORRELATION_TITLE = "rank correlation (Spearman) of Loss_G and Fréchet distance"
LONGER_RUNS_NOTE = """

The document does not say how its vanilla GAN is built; here it is the preset [`vanilla`](presets.md#vanilla). The runs
are shorter than the document's 11,500 steps. [Results](results.md#the-studys-own-run-11500-steps) has both networks
after so many steps, one seed of each."""
EQUAL_TIME_NOTE = """

Not a fair comparison, and without weight for the verdict: in this time dcgan is still in its first steps, in which it
draws one shape for all latents ([results](results.md#six-presets-at-equal-time)).

"""
DOCUMENT_LOSS_G = 0.7071
"""The generator's loss of the document's DCGAN at step 11,500, "much lower than that of the vanilla GAN"."""
MIN_DECIDING_UPDATES = 2_000
"""Updates of the generator below which a run does not decide on the stability of a training. The study has 11,500."""
MIN_LARGE_RATIO = 5
"""A ratio of gradients that is larger than this is not explained by the noise between batches."""


@dataclass(frozen=True)
class ClaimRow:
    """What is known about a claim.

    Attributes:
        verdict: one or a few words.
        summary: for the table.
        details: the section below the table, in Markdown; empty if there is none.
    """

    verdict: str
    summary: str
    details: str = ""


def _not_measured(command: str) -> ClaimRow:
    return ClaimRow("not measured yet", f"`{command}`")


def _comparisons(results: Results) -> list[Results]:
    """Return the comparisons, those at equal steps first: at equal time some presets have barely started."""
    comparisons = results.get("compared", {}).get("comparisons", [])
    return sorted(comparisons, key=lambda comparison: comparison["how"]["unit"] != "steps")


def _has_equal_steps(comparison: Results) -> bool:
    return bool(comparison["how"]["unit"] == "steps")


def _work_per_run(comparison: Results) -> str:
    plan = comparison["how"]
    return f"{plan['amount']:,g} {plan['unit']} each"


def _format_spread(spread: Results, least: float = -math.inf) -> str:
    """Return a mean with its interval, or with the value of each seed if the interval reaches below the least value."""
    low, high = spread["low"], spread["high"]
    if low is not None and low < least:
        return f"{spread['mean']:.3g} (the seeds: {', '.join(f'{value:.3g}' for value in sorted(spread['each']))})"
    interval = "" if low is None else f" ({low:.3g} to {high:.3g})"
    return f"{spread['mean']:.3g}{interval}"


def better_digits(results: Results) -> ClaimRow:
    """(a) DCGAN draws much better digits than the vanilla GAN."""
    fair_lines: list[str] = []
    other_lines: list[str] = []
    significant_results = []
    for comparison in _comparisons(results):
        for metric, test in comparison["better_digits"].items():
            is_distance = metric.startswith("frechet")
            dcgan, vanilla = test["dcgan"], test["vanilla"]
            if _has_equal_steps(comparison) and test["p"] <= SIGNIFICANCE_LEVEL:
                significant_results.append((dcgan["mean"] < vanilla["mean"]) == is_distance)
            title = "Fréchet distance (lower is better)" if is_distance else "judge's certainty (higher is better)"
            lines = fair_lines if _has_equal_steps(comparison) else other_lines
            lines.append(
                f"- at {_work_per_run(comparison)}, {title}: dcgan {_format_spread(dcgan, 0)}, vanilla "
                f"{_format_spread(vanilla, 0)}; exact permutation test p = {test['p']:.2g} ({len(dcgan['each'])} and "
                f"{len(vanilla['each'])} seeds)"
            )
    if not fair_lines and not other_lines:
        return _not_measured(COMPARE_COMMAND)
    if not significant_results:
        verdict = "not decided"
    elif all(significant_results):
        verdict = "true here"
    elif not any(significant_results):
        verdict = "not with the vanilla GAN of this package"
    else:
        verdict = "depends on the metric"
    details = "\n".join(fair_lines) + LONGER_RUNS_NOTE
    if other_lines:
        details += EQUAL_TIME_NOTE + "\n".join(other_lines)
    summary = "; ".join(line[2:] for line in fair_lines) or "only at equal time, see below"
    return ClaimRow(verdict, summary, details)


def _compare_losses(comparison: Results) -> str:
    """Return Loss_G of dcgan and vanilla at the end of their runs, as the document compares them; or nothing."""
    ends = comparison["ends"]
    if not _has_equal_steps(comparison) or "dcgan" not in ends or "vanilla" not in ends:
        return ""
    dcgan, vanilla = ends["dcgan"]["loss_g"], ends["vanilla"]["loss_g"]
    p, _ = permutation_test(dcgan["each"], vanilla["each"])
    return (
        f"Loss_G at {_work_per_run(comparison)}: dcgan {_format_spread(dcgan, 0)}, vanilla "
        f"{_format_spread(vanilla, 0)}; exact permutation test p = {p:.2g}"
    )


def loss_and_quality(results: Results) -> ClaimRow:
    """(b) A lower generator loss means finer pictures."""
    blind = results.get("toy", {}).get("blind")
    lines, overall_correlations = [], []
    for comparison in _comparisons(results):
        correlations = comparison["loss_and_distance"]
        within = [value for value in correlations["within"].values() if value is not None]
        parts = [f"{sum(within) / len(within):+.2f} on average within a run"] if within else []
        for key, count in (("over_ends", "ends"), ("over_all", "moments")):
            if correlations[key] is not None:
                parts.append(f"{correlations[key]:+.2f} over {correlations[count]} {count} of runs")
        if correlations["over_all"] is not None:
            overall_correlations.append(correlations["over_all"])
        lines.append(f"- at {_work_per_run(comparison)}: {', '.join(parts)}")
    if not blind and not lines:
        return _not_measured(COMPARE_COMMAND)
    losses = [text for comparison in _comparisons(results) if (text := _compare_losses(comparison))]
    details = (
        f"The {CORRELATION_TITLE}, of the presets whose Loss_G is -log D(G(z)); +1 would confirm the claim:\n\n"
        + "\n".join(lines)
        if lines
        else f"The {CORRELATION_TITLE} over checkpoints and presets is not measured yet: `{COMPARE_COMMAND}`."
    )
    counterexample = (
        f"D ≡ 1/2 has Loss_D {blind['loss_d']:.4f} and Loss_G {blind['loss_g']:.4f}, both ln 2, whatever G draws: in "
        f"the toy of (e), G has a Fréchet distance of {blind['distance_to_data']:.2f} then."
        if blind
        else ""
    )
    summary = f"{CORRELATION_TITLE} {lines[0][2:]}" if lines else counterexample
    # One counterexample refutes the claim as a rule. The correlations say how true it is on average.
    verdict = "not as a rule" if overall_correlations and min(overall_correlations) > 0.5 else "disagrees"
    if losses:
        summary += f"; {losses[0]}"
        details += (
            f"\n\nThe document says that Loss_G of its DCGAN, {DOCUMENT_LOSS_G} at step 11,500, is much lower than "
            "that of its vanilla GAN, for which it gives no number:\n\n" + "\n".join(f"- {text}" for text in losses)
        )
    return ClaimRow(verdict, summary, f"{details}\n\n{counterexample}".rstrip())


def stability(results: Results) -> ClaimRow:
    """(c) Training is unstable; WGAN with gradient penalty cures it."""
    content = results.get("stability")
    if not content:
        return _not_measured("python -m benchmarks.claims stability --folder DIR")
    table = ["| recipe | normalization | learning rate | ended well | distances |", "|---|---|---|---|---|"]
    runs_by_recipe: dict[str, list[Results]] = {}
    runs_by_settings: dict[tuple[str, str, float], list[Results]] = {}
    for run in content["runs"]:
        runs_by_recipe.setdefault(run["recipe"], []).append(run)
        runs_by_settings.setdefault((run["recipe"], run["norm"], run["rate"]), []).append(run)
    for (recipe, norm, rate), runs in runs_by_settings.items():
        distances = ", ".join("diverged" if run["distance"] is None else f"{run['distance']:.3g}" for run in runs)
        table.append(f"| {recipe} | {norm} | {rate:g} | {_count_good(runs)} of {len(runs)} | {distances} |")
    updates = {recipe: _generator_updates(recipe, content["images"]) for recipe in runs_by_recipe}
    counts = [
        f"{recipe} {_count_good(runs)} of {len(runs)} runs with {updates[recipe]:,} updates of G"
        for recipe, runs in runs_by_recipe.items()
    ]
    shares = {recipe: _count_good(runs) / len(runs) for recipe, runs in runs_by_recipe.items()}
    difference = shares["WGAN-GP"] - shares["DCGAN"]
    diverged_count = sum(run["distance"] is None for run in content["runs"])
    if min(updates.values()) < MIN_DECIDING_UPDATES or not diverged_count:
        verdict = "not decided"
    else:
        verdict = "true here" if difference > 0 else "disagrees" if difference < 0 else "no difference"
    diverged = f"{diverged_count} of {len(content['runs'])} runs diverged"
    explanation = (
        f"A run ends well if its Fréchet distance is below {content['good']:g} after {content['images']:,} images.\n\n"
        "Why this does not decide:\n\n"
        "- An update of WGAN-GP's generator takes five times as many images as one of DCGAN's. At equal images its "
        f"generator has {updates['WGAN-GP']:,} updates, DCGAN's {updates['DCGAN']:,}; a low rate needs more.\n"
        f"- The networks are those of the preset `dcgan64`, not of the document, and narrow: widths "
        f"{RECIPES['DCGAN']['g_width']} and {RECIPES['DCGAN']['d_width']}.\n"
        f"- {diverged}. A cure can be shown only where training is unstable.\n\n"
        "Longer runs of `wgan-gp`, `fast` and `r3gan` at five rates, none of which diverged, are on "
        "[results](results.md#other-learning-rates)."
    )
    summary = f"ended well after {content['images']:,} images: {', '.join(counts)}; {diverged}"
    return ClaimRow(verdict, summary, explanation + "\n\n" + "\n".join(table))


def _generator_updates(recipe: str, images: int) -> int:
    """Return how many updates a generator has had after so many real images."""
    config = configure(**RECIPES[recipe])
    return images // (config.batch_size * config.n_critic)


def _count_good(runs: list[Results]) -> int:
    return sum(run["well"] for run in runs)


def requested_class(results: Results) -> ClaimRow:
    """(d) A conditional GAN draws the requested class."""
    agreements = [
        (f"{preset}, {_work_per_run(comparison)}", agreement)
        for comparison in _comparisons(results)
        for preset, agreement in comparison["label_agreement"].items()
    ]
    if not agreements:
        return _not_measured(COMPARE_COMMAND)
    lines = [
        f"{title}: the judge recognizes the requested class in a share of {_format_spread(agreement)}"
        for title, agreement in agreements
    ]
    least = min(agreement["mean"] for _, agreement in agreements)
    verdict = "true here" if least > 0.9 else "partly" if least > 0.5 else "disagrees"
    of_reals = "The share is 0.996 for real test digits (0.999 for training digits, from which the judge learned)"
    details = "\n".join(f"- {line}" for line in lines) + f"\n\n{of_reals}, and 0.1 by chance."
    return ClaimRow(verdict, lines[0], details)


def scores_at_the_optimum(results: Results) -> ClaimRow:
    """(e) When all goes well D(x) and D(G(z)) end at 1/2."""
    toy = results.get("toy")
    if not toy:
        return _not_measured("python -m benchmarks.claims toy")
    ends = toy["trained"]
    max_error = max(run["mean_distance_from_the_formula"] for run in toy["fixed_generator"])
    d_real, d_fake = ([run[key] for run in ends] for key in ("d_real", "d_fake"))
    lines = [
        f"The data are N(3, 1/2²), G(z) = a z + b, and D is quadratic in x, so that both can reach their optimum. "
        f"{len(ends)} seeds.",
        "",
        f"- D alone against a fixed G: its mean distance from p_data / (p_data + p_g) is at most {max_error:.4f}.",
        f"- Both trained: D(x) {min(d_real):.3f} to {max(d_real):.3f}, D(G(z)) {min(d_fake):.3f} to "
        f"{max(d_fake):.3f}; losses {ends[0]['loss_d']:.4f} and {ends[0]['loss_g']:.4f} (ln 2 = {math.log(2):.4f}).",
        f"- G then draws N({ends[0]['mean']:.3f}, {ends[0]['deviation']:.3f}²).",
    ]
    for comparison in _comparisons(results):
        lines += [
            f"- Networks on digits, {preset}, {_work_per_run(comparison)}: D(x) {_format_spread(end['d_real'])}, "
            f"D(G(z)) {_format_spread(end['d_fake'])}"
            for preset, end in comparison["ends"].items()
        ]
    means = f"D(x) {sum(d_real) / len(d_real):.3f}, D(G(z)) {sum(d_fake) / len(d_fake):.3f}"
    summary = f"on a toy: {means}. But 1/2 only says that this D cannot tell the two apart, see (b)"
    return ClaimRow("true where D is the best one", summary, "\n".join(lines))


def gradients(results: Results) -> ClaimRow:
    """(f) At first log(1 - D(G(z))) hardly has a gradient; maximizing D(G(z)) has a larger one."""
    parts = [results[name] for name in ("gradients", "saturation") if name in results]
    if not parts:
        return _not_measured("python -m benchmarks.claims gradients saturation --seeds 0 --steps 1000")
    notes_by_row: dict[tuple[str, int], list[Results]] = {}
    for run in (run for part in parts for run in part["runs"]):
        for note in run["notes"]:
            ratio = note["non-saturating"] / max(note["minimax"], 1e-30)
            notes = notes_by_row.setdefault((run["preset"], note["step"]), [])
            if all(run["seed"] != other["seed"] for other in notes):
                notes.append(note | {"ratio": ratio, "seed": run["seed"]})
    table = [
        "| preset | step | seeds | D(G(z)) | ‖∇‖ of log(1 - D(G(z))) | ‖∇‖ of -log D(G(z)) | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    columns = (("d_fake", ".3f"), ("minimax", ".3g"), ("non-saturating", ".3g"), ("ratio", ".3g"))
    for (preset, step), notes in sorted(notes_by_row.items()):
        cells = [_format_range([note[name] for note in notes], form) for name, form in columns]
        table.append(f"| {preset} | {step:,} | {len(notes)} | {' | '.join(cells)} |")
    all_notes = [(step, note) for (_, step), notes in notes_by_row.items() for note in notes]
    first_ratios = [note["ratio"] for step, note in all_notes if step == 0]
    max_step, largest = max(all_notes, key=lambda item: float(item[1]["ratio"]))
    last_step = max(step for step, _ in all_notes)
    summary = (
        f"norm of G's gradient by -log D(G(z)) over that by log(1 - D(G(z))): {_format_range(first_ratios, '.2f')} at "
        f"step 0, where D(G(z)) is about 1/2; the largest ratio up to step {last_step:,} is {largest['ratio']:.3g}, at "
        f"step {max_step:,}, where D(G(z)) is {largest['d_fake']:.3f}"
    )
    is_large = largest["ratio"] > MIN_LARGE_RATIO
    verdict = "true where D wins, not at the very first steps" if is_large else f"not in the first {last_step:,} steps"
    introduction = (
        "G is trained with -log D(G(z)); both gradients are over all weights of G, at the same weights. Of several "
        "seeds the smallest and the largest value are given. The gradient by D's score of one sample has the length "
        "D(G(z)) in the first case and 1 - D(G(z)) in the second: the ratio is large where D recognizes the samples. "
        "In [the study's own run](study.md) D(G(z)) falls to 0.03 before G becomes strong."
    )
    return ClaimRow(verdict, summary, introduction + "\n\n" + "\n".join(table))


def _format_range(values: list[float], form: str) -> str:
    """Return the smallest and the largest value as text; one of them if they look the same."""
    ends = [format(end, form) for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def layer_sizes(results: Results) -> ClaimRow:
    """(g) Each layer doubles (G) or halves (D) the size."""
    sizes = results.get("sizes")
    if not sizes:
        return _not_measured("python -m benchmarks.claims sizes")
    heights = {name: "-".join(map(str, values)) for name, values in sizes["seen"].items()}
    factors = {
        name: ", ".join(f"{b / a:.2f}" for a, b in itertools.pairwise(values)) for name, values in sizes["seen"].items()
    }
    agrees = "agrees with" if sizes["seen"] == sizes["by_formula"] else "differs from"
    return ClaimRow(
        "disagrees",
        f"G {heights['generator']}, D {heights['discriminator']}",
        f"Factors: G {factors['generator']}; D {factors['discriminator']}. Without padding a transposed convolution "
        f"adds the border of its kernel, and a convolution removes it. The document's size formula {agrees} what the "
        "networks make.",
    )


def loss_formulae(results: Results) -> ClaimRow:
    """(h) The generator's loss is log(1 - D(G(z))); at the goal P_data = P_z."""
    losses, toy = results.get("formulae"), results.get("toy")
    if not losses or not toy:
        return _not_measured("python -m benchmarks.claims formulae toy")
    is_non_saturating = math.isclose(losses["generator_code"], losses["minus_log_d"], rel_tol=1e-5)
    end = toy["trained"][0]
    details = (
        f"On the study's untrained networks its `get_gen_loss` gives {losses['generator_code']:.6f}; -log D(G(z)) is "
        f"{losses['minus_log_d']:.6f}, log(1 - D(G(z))) is {losses['log_one_minus_d']:.6f}. Its `get_disc_loss` gives "
        f"{losses['discriminator_code']:.6f}, which is -V/2 = {losses['minus_half_of_v']:.6f}: half of the value in "
        "the text, minimized.\n\n"
        f"In the toy G ends at N({end['mean']:.3f}, {end['deviation']:.3f}²): at a Fréchet distance of "
        f"{end['distance_to_data']:.2g} from P_data and of {end['distance_to_z']:.3g} from P_z = N(0, 1), where it "
        "started. P_z never changes. At the optimum, P_g equals P_data: it is the distribution of G(z)."
    )
    return ClaimRow(
        "disagrees" if is_non_saturating else "true here",
        "the code minimizes -log D(G(z)); at the optimum P_data = P_g; P_z is the distribution of the latents, and it "
        "does not change",
        details,
    )


ROWS: dict[str, Callable[[Results], ClaimRow]] = {
    "a": better_digits,
    "b": loss_and_quality,
    "c": stability,
    "d": requested_class,
    "e": scores_at_the_optimum,
    "f": gradients,
    "g": layer_sizes,
    "h": loss_formulae,
}
"""The function for each claim."""
