"""Copies of training pictures among samples: are samples nearer to a training picture than unseen real pictures are?

Each sample is compared with a short list of training pictures, after mirroring, small shifts and a change of colors.
The same distances of real pictures that were not trained on say which of them are small: a sample counts as near if it
is nearer than 95% of the unseen real pictures. 5% of samples that copy nothing are.

Samples that are smoother than the data are nearer to all training pictures, since they lack the fine structure in which
pictures differ. So samples are only called copies if they are also nearer than unseen pictures that were given their
power spectrum and brightness: see `judged_alike`.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dcgan.metrics.intervals import wilson_interval
from dcgan.metrics.nearest import CopySearch, NearestTraining, Relatives

NEAR_SHARE = 0.05
"""The share of unseen real pictures that count as near."""
RELATED_NEAR_SHARE = 0.3
"""The same share of pictures with near duplicates. With 5%, the limit would be that of duplicates, and a copy with a
little noise would not be near."""
COPIES = "copies"
"""The verdict on samples that are nearer to training pictures than unseen pictures are."""
MIN_LIMIT = 1e-9
MIN_UNSEEN = 100
"""Unseen real pictures that a verdict needs: from fewer, the limit of what is near is too uncertain."""
MAX_UNSEEN = 2_000
"""Unseen real pictures that the limit is computed from."""


@dataclass(frozen=True)
class NearLimits:
    """Distances that 5% of some pictures are below.

    Attributes:
        shifted: the 5% quantile of `NearestTraining.shifted`.
        recolored: the same of `recolored`.
        combined: the 5% quantile of the smaller of both distances over their limits.
    """

    shifted: float
    recolored: float
    combined: float

    def closeness(self, nearest: NearestTraining) -> Tensor:
        """Return the smaller of both distances over their limits, (N,): below 1 a picture is near."""
        smaller = torch.minimum(nearest.shifted / self.shifted, nearest.recolored / self.recolored)
        return smaller / self.combined


@dataclass(frozen=True)
class CopyLimits:
    """Which distances are small.

    Attributes:
        unrelated: limits of samples whose nearest training picture has no near duplicates: from unseen pictures.
        related: those of samples whose nearest training picture has some, from `Relatives`; None without relatives.
        is_relative: which of the training pictures have some, bool (M,), if `related` is given.
        near_share: the share of new pictures that are near: 5%, more if distances are equal or pictures come in pairs.
        reference_count: how many pictures this share is from.
    """

    unrelated: NearLimits
    related: NearLimits | None
    is_relative: Tensor | None
    near_share: float
    reference_count: int

    def closeness(self, nearest: NearestTraining) -> Tensor:
        """Return how near samples are, (N,): below 1 they are nearer than 95% of new pictures."""
        closeness = self.unrelated.closeness(nearest)
        if self.related is None or self.is_relative is None:
            return closeness
        return torch.where(self.is_relative[self.rows(nearest)], self.related.closeness(nearest), closeness)

    def is_near(self, nearest: NearestTraining) -> Tensor:
        """Return whether samples are nearer than 95% of new pictures, bool (N,)."""
        return self.closeness(nearest) < 1

    def rows(self, nearest: NearestTraining) -> Tensor:
        """Return the training picture that each picture is nearest to, int64 (N,)."""
        limits = self.unrelated
        is_shifted = nearest.shifted / limits.shifted <= nearest.recolored / limits.recolored
        return torch.where(is_shifted, nearest.shifted_rows, nearest.recolored_rows)


@dataclass(frozen=True)
class CopyVerdict:
    """Whether samples are copies of training pictures.

    Attributes:
        verdict: `copies`, `no sign of copying` or `cannot say`.
        reason: the verdict as a sentence.
        near_share: the share of the samples that are nearer to a training picture than 95% of unseen real pictures.
        low: lower end of the 95% interval of `near_share` minus what is expected without copies.
        high: its upper end.
        authentic_share: AuthPct of the samples.
        authentic_share_of_unseen: AuthPct of the unseen real pictures.
        n: the number of samples.
        searched: the number of training pictures that were searched.
        trained_on: the number of training pictures.
        unseen: the number of unseen real pictures.
        unseen_near_share: the share of new real pictures that are as near: what is expected without copies.
        unseen_source: `held-out pictures`, or `cross-splitting`: each picture against the others.
    """

    verdict: str
    reason: str
    near_share: float
    low: float
    high: float
    authentic_share: float
    authentic_share_of_unseen: float
    n: int
    searched: int
    trained_on: int
    unseen: int
    unseen_near_share: float
    unseen_source: str

    @property
    def excess(self) -> float:
        """How much larger the share of near samples is than without copies."""
        return self.near_share - self.unseen_near_share


def copy_limits(unseen: NearestTraining, relatives: Relatives | None = None) -> CopyLimits:
    """Return which distances are small.

    Args:
        unseen: what is nearest to real pictures that are no near duplicates of training pictures.
        relatives: training pictures that have near duplicates, if there are some.
    """
    unrelated = _near_limits(unseen)
    limits = CopyLimits(unrelated, None, None, 0.0, len(unseen))
    near_share = float(limits.is_near(unseen).double().mean())
    if relatives is None:
        return replace(limits, near_share=near_share)
    related = replace(unrelated, combined=1.0)
    related = replace(related, combined=_low_quantile(related.closeness(relatives.nearest), RELATED_NEAR_SHARE))
    # A new picture may belong to a training picture that has no near duplicate yet, as one of a pair does.
    is_near = torch.where(
        relatives.is_in_pair, unrelated.closeness(relatives.nearest) < 1, related.closeness(relatives.nearest) < 1
    )
    share = float(relatives.is_relative.double().mean())
    return CopyLimits(
        unrelated,
        related,
        relatives.is_relative,
        share * float(is_near.double().mean()) + (1 - share) * near_share,
        len(unseen) + len(relatives.nearest),
    )


def _near_limits(nearest: NearestTraining) -> NearLimits:
    shifted, recolored = (
        max(float(d.double().quantile(NEAR_SHARE)), MIN_LIMIT) for d in (nearest.shifted, nearest.recolored)
    )
    limits = NearLimits(shifted, recolored, 1.0)
    return replace(limits, combined=_low_quantile(limits.closeness(nearest), NEAR_SHARE))


def _low_quantile(closeness: Tensor, share: float) -> float:
    return max(float(closeness.double().quantile(share)), MIN_LIMIT)


def judge_copies(
    samples: NearestTraining,
    unseen: NearestTraining,
    search: CopySearch,
    unseen_source: str,
    relatives: Relatives | None = None,
) -> CopyVerdict:
    """Return whether samples are copies of training pictures.

    Args:
        samples: of the samples.
        unseen: of real pictures that were not trained on.
        search: what both were found with.
        unseen_source: how the unseen pictures were chosen, in words.
        relatives: training pictures that have near duplicates, if there are some.
    """
    limits = copy_limits(unseen, relatives)
    near, n, expected = int(limits.is_near(samples).sum()), len(samples), limits.near_share
    low, high = difference_interval(near, n, round(expected * limits.reference_count), limits.reference_count)
    verdict, reason = _verdict(near / n, expected, low, high, len(unseen))
    return CopyVerdict(
        verdict,
        reason,
        near / n,
        low,
        high,
        float(samples.is_authentic.float().mean()),
        float(unseen.is_authentic.float().mean()),
        n,
        len(search.rows),
        search.trained_on,
        len(unseen),
        expected,
        unseen_source,
    )


def judged_alike(verdict: CopyVerdict, alike: CopyVerdict) -> CopyVerdict:
    """Return the verdict of a fairer comparison than one that found copies, and say so if it finds none.

    Args:
        verdict: `copies`, of `judge_copies`.
        alike: on the same samples, from unseen pictures that were given the samples' power spectrum and brightness.
    """
    if alike.verdict == COPIES:
        return alike
    reason = (
        f"{alike.reason} (of unseen pictures with as much coarse and fine structure as the samples have; of those as "
        f"they are, {verdict.near_share:.1%} of the samples would be nearer)"
    )
    return replace(alike, reason=reason)


def _verdict(share: float, expected: float, low: float, high: float, unseen_count: int) -> tuple[str, str]:
    near = f"{share:.1%} of the samples are nearer to a training picture than {1 - expected:.0%} of unseen pictures are"
    if unseen_count < MIN_UNSEEN:
        return "cannot say", f"{near}; that says little, because only {unseen_count} unseen pictures are there"
    if low > 0:
        return COPIES, f"{near}: {low:.1%} to {high:.1%} more than without copies"
    if high < 0:
        return "cannot say", (
            f"{near}: fewer than without copies, because the samples differ more from the data than unseen pictures "
            "do; a few copies, or copies that are much altered, would not be noticed"
        )
    return "no sign of copying", f"{near}: as many as without copies"


def difference_interval(count: int, n: int, other_count: int, other_n: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two binomial shares (Newcombe 1998, from Wilson's intervals)."""
    share, other_share = count / n, other_count / other_n
    low, high = wilson_interval(count, n)
    other_low, other_high = wilson_interval(other_count, other_n)
    difference = share - other_share
    return (
        difference - math.hypot(share - low, other_high - other_share),
        difference + math.hypot(high - share, other_share - other_low),
    )
