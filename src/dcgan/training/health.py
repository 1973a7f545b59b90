"""Is this GAN healthy? Names for what goes wrong, found from the run's metrics log alone.

docs/health.md says what each diagnosis means, where its threshold comes from and how late it is.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]
"""A measurement or an event of the metrics log."""
WINDOW_MEASUREMENTS, WINDOW_STEPS = 10, 200
"""A signal must hold over at least this many measurements and steps."""
D_ALWAYS_RIGHT, D_FOOLED = 0.97, 0.2
"""Fraction of pairs in which D scores the real picture higher: from the first value on, D nearly always tells real from
fake; up to the second, D takes fakes for real."""
VANISHED_GRADIENT = 0.02
"""Fraction of the largest gradient that G had, below which there is nothing left to learn from."""
PLATEAU_EVENTS, MIN_PROGRESS = 6, 0.02
"""Pictures do not improve if `nearness` has not fallen by this fraction over this many events."""
FAR_NEARNESS = 1.5
"""`nearness` above which pictures look nothing like real ones."""
REACHED_DIVERSITY, COLLAPSED_FRACTION = 0.3, 0.5
"""Diversity that counts as reached, and the fraction of its best value below which it has collapsed."""
SWING_FRACTION, MIN_SWINGS, SWING_EVENTS = 0.15, 3, 8
"""A measure of the pictures oscillates if it turns this often, each time after a change by this fraction, within this
many events."""
MIN_DIVERSITY_OF_SWINGS = 0.1
"""Changes of the diversity below this value mean nothing."""
COPY_NEARNESS = 0.5
"""`nearness` below which pictures are copies: twice as near to a training picture as training pictures are to each
other."""
LEARNED_FRACTION, PATIENCE_IMAGES, PATIENCE_STEPS = 0.02, 200_000, 500
"""Fraction by which `nearness` must have fallen after this many images and steps. The study's run draws one single
shape for 2,000 steps of 128 images."""
NARROWED_FRACTION = 0.5
"""Fraction of its best number of classes below which a judge sees a collapse."""


@dataclass(frozen=True)
class Diagnosis:
    """Something that goes wrong.

    Attributes:
        name: its name in docs/health.md.
        evidence: the numbers that show it.
        advice: the flag to try.
    """

    name: str
    evidence: str
    advice: str

    def as_json(self) -> dict[str, str]:
        """Return it as it stands in the metrics log."""
        return {"diagnosis": self.name, "evidence": self.evidence, "advice": self.advice}

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}. Try {self.advice}"


def diagnose(entries: Sequence[Entry]) -> list[Diagnosis]:
    """Name what is wrong at the end of a log. Values that are not finite are the business of `recovery`.

    Nothing but the log is used, so that a resumed run says what it would have said without the stop. An event
    `pictures` may hold `classes`: how many generated pictures a judge saw of each class.
    """
    measurements = [entry for entry in entries if "event" not in entry]
    pictures = [entry for entry in entries if entry.get("event") == "pictures"]
    scored = [entry for entry in measurements if "d_right" in entry]  # none without a discriminator
    diagnoses = (
        _discriminator_too_strong(scored, pictures),
        _generator_too_strong(scored),
        _mode_collapse(pictures),
        _oscillation(pictures),
        _memorising(pictures),
        _nothing_learned(pictures),
    )
    return [diagnosis for diagnosis in diagnoses if diagnosis]


def diagnose_not_finite(fault: str, step: int) -> Diagnosis:
    """Return the diagnosis that needs no log: `fault` was not finite at `step`."""
    advice = "a lower --lr from the start; this run goes back and halves it"
    return Diagnosis("not-finite", f"{fault} was not finite at step {step:,}", advice)


def _discriminator_too_strong(measurements: Sequence[Entry], pictures: Sequence[Entry]) -> Diagnosis | None:
    """D always tells real from fake, and G has no gradient left to learn from, or does not improve with it."""
    window = _window(measurements)
    if not window or (right := _mean(window, "d_right")) < D_ALWAYS_RIGHT:
        return None
    gradient_left = _mean(window, "grad_g") / max(entry["grad_g"] for entry in measurements)
    is_stuck = _is_stuck(pictures)
    if gradient_left >= VANISHED_GRADIENT and not is_stuck:
        return None
    effect = (
        "the pictures do not get nearer to real ones"
        if is_stuck
        else f"G's gradient is {gradient_left:.1%} of what it was"
    )
    return Diagnosis(
        "discriminator-too-strong",
        f"D scores the real picture higher in {right:.1%} of pairs, and {effect}",
        "a lower --d-lr, --n-critic 1, --label-smoothing 0.1, or --loss non-saturating",
    )


def _generator_too_strong(measurements: Sequence[Entry]) -> Diagnosis | None:
    """D takes fakes for real: what G learns from it has nothing to do with the pictures."""
    window = _window(measurements)
    if not window or (right := _mean(window, "d_right")) > D_FOOLED:
        return None
    return Diagnosis(
        "generator-too-strong",
        f"D scores the real picture higher in only {right:.1%} of pairs; guessing gives 50%",
        "a higher --d-lr, --n-critic 2, or a larger --d-width",
    )


def _mode_collapse(pictures: Sequence[Entry]) -> Diagnosis | None:
    """The pictures varied before, and do not vary any more. A run whose pictures never varied has not collapsed."""
    trained = pictures[1:]  # untrained networks may draw anything
    advice = "a lower --lr, --preset wgan-gp or r3gan, or, with a discriminator, --augment diffaugment"
    diversity = [float(event["diversity"]) for event in trained]
    best = max(diversity, default=0.0)
    if len(diversity) > 2 and best >= REACHED_DIVERSITY and max(diversity[-2:]) < COLLAPSED_FRACTION * best:
        return Diagnosis("mode-collapse", f"diversity fell from {best:.2f} to {diversity[-1]:.2f}", advice)
    judged = [event for event in trained if event.get("classes")]
    class_counts = [_effective_count(event["classes"]) for event in judged]
    # A judge sees classes in noise too: what counts is how many classes there were when the pictures varied.
    varied = (n for n, event in zip(class_counts, judged, strict=True) if event["diversity"] >= REACHED_DIVERSITY)
    reached = max(varied, default=0.0)
    if len(class_counts) > 2 and max(class_counts[-2:]) < NARROWED_FRACTION * reached:
        evidence = f"{class_counts[-1]:.1f} classes are drawn; there were {reached:.1f}"
        return Diagnosis("mode-collapse", evidence, advice)
    return None


def _oscillation(pictures: Sequence[Entry]) -> Diagnosis | None:
    """The pictures get better and worse in turn instead of improving."""
    last = pictures[1:][-SWING_EVENTS:]
    turns = {
        "distance to real pictures": _count_turns([event["nearness"] for event in last]),
        "diversity": _count_turns([max(event["diversity"], MIN_DIVERSITY_OF_SWINGS) for event in last]),
    }
    measure = max(turns, key=turns.__getitem__)
    if turns[measure] < MIN_SWINGS:
        return None
    return Diagnosis(
        "oscillation",
        f"the pictures' {measure} turned {turns[measure]} times by more than {SWING_FRACTION:.0%}",
        "a lower --lr, --betas 0.5 0.999, or a longer --ema",
    )


def _memorising(pictures: Sequence[Entry]) -> Diagnosis | None:
    """The pictures are copies of training pictures."""
    if len(pictures) < 2 or not pictures[-1].get("is_all") or pictures[-1]["nearness"] >= COPY_NEARNESS:
        return None
    return Diagnosis(
        "memorising",
        f"generated pictures are {pictures[-1]['nearness']:.2f} times as far from a training picture as training "
        "pictures are from each other",
        "more pictures, an earlier end with --patience, or, with a discriminator, --augment flip+diffaugment",
    )


def _nothing_learned(pictures: Sequence[Entry]) -> Diagnosis | None:
    """The pictures are no nearer to real ones than those of the untrained generator."""
    if not _is_patience_over(pictures):
        return None
    if min(event["nearness"] for event in pictures) < (1 - LEARNED_FRACTION) * pictures[0]["nearness"]:
        return None
    return Diagnosis(
        "nothing-learned",
        f"after {pictures[-1]['images_seen']:,} images the pictures are no nearer to real ones than at the start",
        "a higher --lr, or another --preset",
    )


def _window(measurements: Sequence[Entry]) -> Sequence[Entry]:
    """Return the last measurements, over which a signal must hold; none while the run is too young."""
    for count in range(WINDOW_MEASUREMENTS, len(measurements) + 1):
        window = measurements[-count:]
        first_step = measurements[-count - 1]["step"] if count < len(measurements) else 0
        if window[-1]["step"] - first_step >= WINDOW_STEPS:
            return window
    return ()


def _mean(measurements: Sequence[Entry], name: str) -> float:
    return statistics.fmean(entry[name] for entry in measurements)


def _is_patience_over(pictures: Sequence[Entry]) -> bool:
    last = pictures[-1] if pictures else {"images_seen": 0, "step": 0}
    return bool(last["images_seen"] >= PATIENCE_IMAGES and last["step"] >= PATIENCE_STEPS)


def _is_stuck(pictures: Sequence[Entry]) -> bool:
    """Return whether the pictures are far from real ones and have not come nearer lately."""
    if not _is_patience_over(pictures):
        return False
    last = [event["nearness"] for event in pictures[1:]][-PLATEAU_EVENTS:]
    return len(last) == PLATEAU_EVENTS and min(last) > FAR_NEARNESS and min(last[1:]) > (1 - MIN_PROGRESS) * last[0]


def _effective_count(counts: Sequence[int]) -> float:
    """Return the number of equally frequent classes with the same entropy: exp of the entropy."""
    total = sum(counts)
    shares = [count / total for count in counts if count]
    return math.exp(-sum(share * math.log(share) for share in shares))


def _count_turns(values: Sequence[float]) -> int:
    """Return how often a series turns, counting only changes of more than `SWING_FRACTION` since the last turn."""
    turns, direction, extreme = 0, 0, values[0] if values else 0.0
    for value in values:
        new_direction = 1 if value > extreme else -1
        if new_direction == direction:
            extreme = value
        elif abs(value - extreme) > SWING_FRACTION * extreme:
            turns, direction, extreme = turns + (direction != 0), new_direction, value
    return turns
