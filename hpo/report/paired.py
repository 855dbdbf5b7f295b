"""Differences of two configurations that were trained with the same seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean of the differences seed by seed, with its interval by Student's t."""

    mean: float
    half_width: float
    """Infinite for a single pair."""
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.mean) > self.half_width


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> PairedDifference | None:
    """Compare scores by replicate; only replicates that both have count. None without any.

    Equal replicates share initial seeds and chunks, so that what they have in common cancels.
    """
    differences = [ours[replicate] - theirs[replicate] for replicate in sorted(ours.keys() & theirs.keys())]
    if not differences:
        return None
    pairs = len(differences)
    half_width = float("inf")
    if pairs > 1:
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, pairs - 1))
        half_width = quantile * stdev(differences) / pairs**0.5
    return PairedDifference(mean=fmean(differences), half_width=half_width, pairs=pairs)
