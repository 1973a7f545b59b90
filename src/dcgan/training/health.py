"""Is this GAN healthy? Measures of what it draws, and names for what goes wrong, from the run's log alone.

What each diagnosis means, where its threshold comes from and how late it is: docs/health.md.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Line = Mapping[str, Any]
WINDOW, WINDOW_STEPS = 10, 200
"""Log lines over which a signal must hold, and the steps that they must hold at least."""
SURE, FOOLED = 0.97, 0.2
"""Share of pairs in which D scores the real picture higher: always, nearly; and hardly ever."""
VANISHED = 0.02
"""Of the longest gradient that G had: what is left is nothing to learn from."""
PLATEAU, PROGRESS = 6, 0.02
"""Measures of the pictures over which `nearness` has not fallen by this share: they do not get better."""
FAR = 1.5
"""Nearness above which pictures are nothing like real ones."""
REACHED, FALLEN = 0.3, 0.5
"""Diversity that counts as reached, and the share of its best level below which it has collapsed."""
SWING, SWINGS, SWING_WINDOW = 0.15, 3, 8
"""Turns of a measure of the pictures, each after a change by that share, within so many measures."""
QUIET = 0.1
"""Diversity below which its ups and downs mean nothing."""
COPIES = 0.5
"""Nearness below which pictures are copies: twice as near to a training picture as these are to each other."""
LEARNED, PATIENCE, PATIENCE_STEPS = 0.02, 200_000, 500
"""Share by which `nearness` must have fallen; images and steps for which nobody should worry: the study's run draws
one single shape for 2,000 steps of 128."""
NARROWED = 0.5
"""Share of its best number of classes below which a judge sees a collapse."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong.

    Attributes:
        name: as in docs/health.md.
        evidence: the figures that say so.
        advice: the flag to try.
    """

    name: str
    evidence: str
    advice: str

    def as_json(self) -> dict[str, str]:
        """As it stands in the log."""
        return {"diagnosis": self.name, "evidence": self.evidence, "advice": self.advice}

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}. Try {self.advice}"


def diagnose(entries: Sequence[Line]) -> list[Diagnosis]:
    """Name what is wrong at the end of a log, but for what is not finite, which ends there: see `recovery`.

    Nothing but the log is looked at, so that a resumed run says what it would have said. An event `pictures` may hold
    `classes`, how many generated pictures a judge took for each class.
    """
    lines = [entry for entry in entries if "event" not in entry]
    pictures = [entry for entry in entries if entry.get("event") == "pictures"]
    found = (
        _discriminator_too_strong(lines, pictures),
        _generator_too_strong(lines),
        _mode_collapse(pictures),
        _oscillation(pictures),
        _memorising(pictures),
        _nothing_learned(pictures),
    )
    return [diagnosis for diagnosis in found if diagnosis]


def not_finite(what: str, step: int) -> Diagnosis:
    """The diagnosis that needs no log: `what` was not finite at `step`."""
    advice = "a lower --lr from the start; here the run goes back and halves it"
    return Diagnosis("not-finite", f"{what} was not finite at step {step:,}", advice)


def _discriminator_too_strong(lines: Sequence[Line], pictures: Sequence[Line]) -> Diagnosis | None:
    """D always tells, and G has no gradient left to learn from, or does not get anywhere with it."""
    window = _window(lines)
    if not window or (right := _mean(window, "d_right")) < SURE:
        return None
    left = _mean(window, "grad_g") / max(line["grad_g"] for line in lines)
    stuck = _is_stuck(pictures)
    if left >= VANISHED and not stuck:
        return None
    why = "the pictures do not get nearer to real ones" if stuck else f"G's gradient is {left:.1%} of what it was"
    return Diagnosis(
        "discriminator-too-strong",
        f"D scores the real picture higher in {right:.1%} of pairs, and {why}",
        "a lower --d-lr, --n-critic 1, --label-smoothing 0.1, or --loss non-saturating",
    )


def _generator_too_strong(lines: Sequence[Line]) -> Diagnosis | None:
    """D takes fakes for real: what it teaches has nothing to do with the pictures."""
    window = _window(lines)
    if not window or (right := _mean(window, "d_right")) > FOOLED:
        return None
    return Diagnosis(
        "generator-too-strong",
        f"D scores the real picture higher in {right:.1%} of pairs only; guessing gives 50%",
        "a higher --d-lr, --n-critic 2, or a larger --d-width",
    )


def _mode_collapse(pictures: Sequence[Line]) -> Diagnosis | None:
    """What varied before does not vary any more. A run that never varied has not collapsed: it is not yet there."""
    trained = pictures[1:]  # untrained networks may draw anything
    advice = "a lower --lr, --augment diffaugment, or --preset wgan-gp or r3gan"
    diversity = [float(event["diversity"]) for event in trained]
    if len(diversity) > 2 and (best := max(diversity)) >= REACHED and max(diversity[-2:]) < FALLEN * best:
        return Diagnosis("mode-collapse", f"diversity fell from {best:.2f} to {diversity[-1]:.2f}", advice)
    judged = [event for event in trained if event.get("classes")]
    seen = [_effective(event["classes"]) for event in judged]
    # noise is taken for this class and that one too: what counts is how many were drawn when pictures varied
    reached = max((n for n, e in zip(seen, judged, strict=True) if e["diversity"] >= REACHED), default=0.0)
    if len(seen) > 2 and max(seen[-2:]) < NARROWED * reached:
        return Diagnosis("mode-collapse", f"{seen[-1]:.1f} classes are drawn, and were {reached:.1f}", advice)
    return None


def _oscillation(pictures: Sequence[Line]) -> Diagnosis | None:
    """The pictures go to and fro instead of getting better."""
    last = pictures[1:][-SWING_WINDOW:]
    turns = {
        "distance to real pictures": _turns([event["nearness"] for event in last]),
        "diversity": _turns([max(event["diversity"], QUIET) for event in last]),
    }
    what = max(turns, key=turns.__getitem__)
    if turns[what] < SWINGS:
        return None
    return Diagnosis(
        "oscillation",
        f"the pictures' {what} turned {turns[what]} times by more than {SWING:.0%}",
        "a lower --lr, --betas 0.5 0.999, or a longer --ema",
    )


def _memorising(pictures: Sequence[Line]) -> Diagnosis | None:
    if len(pictures) < 2 or not pictures[-1].get("is_all") or pictures[-1]["nearness"] >= COPIES:
        return None
    return Diagnosis(
        "memorising",
        f"drawn pictures are {pictures[-1]['nearness']:.2f} times as far from a training picture as these are apart",
        "more pictures, --augment flip+diffaugment, or an earlier end with --patience",
    )


def _nothing_learned(pictures: Sequence[Line]) -> Diagnosis | None:
    if not _is_patience_over(pictures):
        return None
    if min(event["nearness"] for event in pictures) < (1 - LEARNED) * pictures[0]["nearness"]:
        return None
    return Diagnosis(
        "nothing-learned",
        f"after {pictures[-1]['images_seen']:,} images the pictures are no nearer to real ones than at the start",
        "a higher --lr, or another --preset",
    )


def _window(lines: Sequence[Line]) -> Sequence[Line]:
    """The last lines over which a signal must hold; none while the run is younger."""
    for count in range(WINDOW, len(lines) + 1):
        window = lines[-count:]
        begin = lines[-count - 1]["step"] if count < len(lines) else 0
        if window[-1]["step"] - begin >= WINDOW_STEPS:
            return window
    return ()


def _mean(lines: Sequence[Line], name: str) -> float:
    return statistics.fmean(line[name] for line in lines)


def _is_patience_over(pictures: Sequence[Line]) -> bool:
    last = pictures[-1] if pictures else {"images_seen": 0, "step": 0}
    return bool(last["images_seen"] >= PATIENCE and last["step"] >= PATIENCE_STEPS)


def _is_stuck(pictures: Sequence[Line]) -> bool:
    """Whether the pictures are far from real ones and have not come nearer lately."""
    if not _is_patience_over(pictures):
        return False
    last = [event["nearness"] for event in pictures[1:]][-PLATEAU:]
    return len(last) == PLATEAU and min(last) > FAR and min(last[1:]) > (1 - PROGRESS) * last[0]


def _effective(counts: Sequence[int]) -> float:
    """The number of classes that would be as even: exp of the entropy."""
    total = sum(counts)
    shares = [count / total for count in counts if count]
    return math.exp(-sum(share * math.log(share) for share in shares))


def _turns(values: Sequence[float]) -> int:
    """How often a series turns, counting only ways of more than `SWING` of where they began."""
    turns, direction, extreme = 0, 0, values[0] if values else 0.0
    for value in values:
        step = 1 if value > extreme else -1
        if step == direction:
            extreme = value
        elif abs(value - extreme) > SWING * extreme:
            turns, direction, extreme = turns + (direction != 0), step, value
    return turns
