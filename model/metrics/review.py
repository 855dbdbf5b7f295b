"""Review of sequences by two people: precision over the threshold (figure 8), and agreement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

THRESHOLDS = tuple(round(0.9 - 0.05 * step, 2) for step in range(13))
"""Thresholds eta from 0.9 down to 0.3, as in section 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedPrecision:
    """Verdicts of two reviewers on the sequences above one threshold; undefined numbers are NaN."""

    threshold: float
    sequences: int
    positives: int
    """Number of sequences that both reviewers accepted."""
    precision: float
    low: float
    """Lower end of the 95 % confidence interval (Wilson, 1927)."""
    high: float
    """Upper end of the 95 % confidence interval (Wilson, 1927)."""
    agreement: float
    """Share of sequences with the same verdict of both reviewers."""
    kappa: float
    """Cohen's kappa (1960): 0 for agreement by chance, 1 for full agreement."""


def reviewed_precision(
    peaks: npt.NDArray[np.float64],
    verdicts: npt.NDArray[np.bool_],
    thresholds: Sequence[float],
) -> list[ReviewedPrecision]:
    """Compute precision and agreement of the sequences whose peak exceeds each threshold.

    Sequences are cut once, at the lowest threshold, so that reviewers watch each only once. A sequence that
    a higher threshold would split stays one, with its highest peak.

    Args:
        peaks: (sequences,): highest segmentation score of each sequence.
        verdicts: (sequences, 2): True if the reviewer accepted the sequence.
        thresholds: Values of eta, none below the one at which the sequences were cut.
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
