"""What two reviewers say of sequences: precision against the threshold (figure 8), and how far they agree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

THRESHOLDS = tuple(round(0.9 - 0.05 * step, 2) for step in range(13))
"""eta from 0.9 down to 0.3, as in section 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedPrecision:
    """What two reviewers make of the sequences above one threshold; NaN where it is not defined."""

    threshold: float
    sequences: int
    positives: int
    """Both reviewers said yes."""
    precision: float
    low: float
    """Of the 95 % interval by Wilson (1927)."""
    high: float
    agreement: float
    """Share of sequences of which both say the same."""
    kappa: float
    """Cohen's (1960): 0 as by chance, 1 always the same."""


def reviewed_precision(
    peaks: npt.NDArray[np.float64],
    verdicts: npt.NDArray[np.bool_],
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[ReviewedPrecision]:
    """Judge the sequences whose peak exceeds each threshold.

    They are cut once, at the lowest threshold, so that reviewers watch each only once: what a higher one
    would cut into several stays one, with the highest peak.

    Args:
        peaks: (sequences,): highest segmentation scores.
        verdicts: (sequences, 2): whether each reviewer said yes.
        thresholds: eta.
    """
    return [_at(threshold, verdicts[peaks > threshold]) for threshold in thresholds]


def _at(threshold: float, verdicts: npt.NDArray[np.bool_]) -> ReviewedPrecision:
    sequences, positives = len(verdicts), int(verdicts.all(axis=1).sum())
    low = high = math.nan
    if sequences:
        interval = binomtest(positives, sequences).proportion_ci(method="wilson")
        low, high = float(interval.low), float(interval.high)
    same = int((verdicts[:, 0] == verdicts[:, 1]).sum())
    return ReviewedPrecision(
        threshold=threshold,
        sequences=sequences,
        positives=positives,
        precision=positives / sequences if sequences else math.nan,
        low=low,
        high=high,
        agreement=same / sequences if sequences else math.nan,
        kappa=_kappa(verdicts),
    )


def _kappa(verdicts: npt.NDArray[np.bool_]) -> float:
    """NaN where both reviewers always give one and the same answer: agreement by chance is certain then."""
    if len(np.unique(verdicts)) < 2:
        return math.nan
    return float(cohen_kappa_score(verdicts[:, 0], verdicts[:, 1]))
