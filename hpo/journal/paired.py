"""Differences between two configurations that were trained with the same seeds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from hpo.journal.ranking import CONFIDENCE, half_width

# Differences that differ by less of their mean are equal: what is left of their spread is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean difference over common seeds, with its interval by Student's t, of 95 % unless asked otherwise."""

    mean: float
    half_width: float
    """Half width of the interval: infinite for a single pair, 0 for equal differences."""
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return abs(self.mean) > self.half_width


def paired_difference(
    ours: Mapping[int, float], theirs: Mapping[int, float], *, confidence: float = CONFIDENCE
) -> PairedDifference | None:
    """Compare scores by seed; return None if there is no common seed.

    Trials with the same seed share initial weights and chunks, so the variation that these cause cancels.

    Args:
        ours: Replicate -> score.
        theirs: Replicate -> score of the configuration to compare with.
        confidence: Level of the interval.
    """
    differences = [ours[replicate] - theirs[replicate] for replicate in sorted(ours.keys() & theirs.keys())]
    if not differences:
        return None
    mean, width = fmean(differences), half_width(differences, confidence=confidence)
    if width is None:
        width = math.inf
    elif max(differences) - min(differences) <= _ROUNDING * abs(mean):
        width = 0.0
    return PairedDifference(mean=mean, half_width=width, pairs=len(differences))
