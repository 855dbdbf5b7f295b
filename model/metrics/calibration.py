"""Calibration: confidence of spots against how often they are right, and offsets of right spots."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.metrics.matching import Matching

CONFIDENCE_EDGES = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Numbers of spots by confidence, in the bins of ``CONFIDENCE_EDGES``; all arrays are (classes, bins)."""

    spots: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    """Mean confidence of the spots; NaN in a bin without spots."""

    @property
    def share_right(self) -> npt.NDArray[np.float64]:
        """Share of the spots that count for an action; NaN in a bin without spots."""
        return _ratio(self.right, self.spots)

    @property
    def expected_error(self) -> npt.NDArray[np.float64]:
        """Expected calibration error (classes,): mean of |confidence - share right|, weighted by spots."""
        distance = np.abs(np.nan_to_num(self.share_right - self.confidence))
        error: npt.NDArray[np.float64] = (distance * self.spots).sum(axis=1) / np.maximum(
            self.spots.sum(axis=1), 1
        )
        return error


def calibration(matching: Matching, *, classes: int, tolerance_frames: float) -> Calibration:
    """Compare the confidence of spots with how often they are right.

    Args:
        matching: Suppressed spots, and actions.
        classes: Number of classes (C).
        tolerance_frames: Tolerance in frames, as full width.
    """
    spots, bins = matching.spots, len(CONFIDENCE_EDGES) - 1
    score = spots.score.astype(np.float64)
    index = np.clip(np.searchsorted(CONFIDENCE_EDGES, score, side="right") - 1, 0, bins - 1)
    cell = spots.class_index * bins + index

    def total(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        sums = np.bincount(cell, weights, minlength=classes * bins).reshape(classes, bins)
        return sums.astype(np.float64)

    number = total(np.ones(len(spots)))
    right = total(matching.true_positives(tolerance_frames))
    return Calibration(number.astype(np.int64), right.astype(np.int64), _ratio(total(score), number))


def offsets_frames(
    matching: Matching, tolerance_frames: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Compute the offsets of the right spots from their actions.

    Returns:
        Class of every right spot, and its offset from the action in frames, negative before the action.
    """
    action = matching.counted_for(tolerance_frames)
    right = matching.spots[action >= 0]
    return right.class_index, right.frame - matching.actions.frame[action[action >= 0]]


def _ratio(part: npt.NDArray[np.generic], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
