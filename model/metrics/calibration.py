"""Whether confidence says how often a spot is right, and how far right spots lie from their actions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.metrics.matching import Matching

CONFIDENCE_EDGES = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """Spots by their confidence, in the bins of ``CONFIDENCE_EDGES``; all arrays are (classes, bins)."""

    spots: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    """Mean of the spots; not a number in a bin without any."""

    @property
    def share_right(self) -> npt.NDArray[np.float64]:
        """Share of the spots that count for an action; not a number in a bin without any."""
        return _ratio(self.right, self.spots)

    @property
    def expected_error(self) -> npt.NDArray[np.float64]:
        """(classes,): mean distance between confidence and share right, weighted by the number of spots."""
        distance = np.abs(np.nan_to_num(self.share_right - self.confidence))
        error: npt.NDArray[np.float64] = (distance * self.spots).sum(axis=1) / np.maximum(
            self.spots.sum(axis=1), 1
        )
        return error


def calibration(matching: Matching, *, classes: int, tolerance_frames: float) -> Calibration:
    """Compare the confidence of spots with how often they are right.

    Args:
        matching: Spots left after suppression, and actions.
        classes: C.
        tolerance_frames: Full width within which a spot is right.
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
    """Where the right spots lie.

    Returns:
        Class of every right spot, and frames from its action to it: negative before the action.
    """
    action = matching.counted_for(tolerance_frames)
    right = matching.spots[action >= 0]
    return right.class_index, right.frame - matching.actions.frame[action[action >= 0]]


def _ratio(part: npt.NDArray[np.generic], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    ratio: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
