"""Precision and recall of spots at thresholds of confidence: for all, visible and unshown actions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.matching import Matching
from model.spots import Spots

THRESHOLDS = np.linspace(0.0, 1.0, 200)
"""Confidences at which precision and recall are read, as in the published codes."""

RECALL_LEVELS = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall of the spots at least as confident as each of ``THRESHOLDS``."""

    precision: npt.NDArray[np.float64]
    """(classes, thresholds), in [0, 1]; 0 where no spot is confident enough."""
    recall: npt.NDArray[np.float64]
    """(classes, thresholds), falling; 0 for a class without actions.

    Above 1 where a spot counts for an action of the other kind than the one it belongs to.
    """

    def average_precision(self) -> npt.NDArray[np.float64]:
        """11-point interpolated average precision of every class."""
        reached = self.recall[:, None, :] >= RECALL_LEVELS[:, None]
        best = np.where(reached, self.precision[:, None, :], 0.0).max(axis=2)
        mean: npt.NDArray[np.float64] = best.mean(axis=1)
        return mean


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of all actions, and of the visible and the unshown ones with the spots that belong to them."""

    all: Curve
    visible: Curve
    unshown: Curve


def precision_recall(matching: Matching, *, classes: int, tolerances_frames: Sequence[float]) -> list[Curves]:
    """Count spots, right spots and actions at all thresholds: one pass for each tolerance.

    A spot belongs to the closest action of its class and half (``Matching.near_visible``); with the unshown
    actions go the spots in halves without an action of their class, as in the SoccerNet package.

    Args:
        matching: Spots and actions.
        classes: C.
        tolerances_frames: Full widths: a spot may lie half of one before or after its action.
    """
    spots, actions = matching.spots, matching.actions
    level = thresholds_reached(spots)
    shape = (2, classes, len(THRESHOLDS) + 1)
    cell = np.ravel_multi_index((matching.near_visible.astype(np.int64), spots.class_index, level), shape)
    found = at_least(cell, shape)
    owner = np.ravel_multi_index((matching.visible.astype(np.int64), actions.class_index), shape[:2])
    number = np.bincount(owner, minlength=2 * classes).reshape(2, classes)
    result = []
    for tolerance_frames in tolerances_frames:
        right = at_least(cell[matching.true_positives(tolerance_frames)], shape)
        unshown, visible = (curve_of(found[part], right[part], number[part]) for part in range(2))
        everything = curve_of(found.sum(axis=0), right.sum(axis=0), number.sum(axis=0))
        result.append(Curves(all=everything, visible=visible, unshown=unshown))
    return result


def thresholds_reached(spots: Spots) -> npt.NDArray[np.int64]:
    """How many of ``THRESHOLDS`` each spot is at least as confident as."""
    return np.searchsorted(THRESHOLDS, spots.score.astype(np.float64), side="right")


def at_least(cell: npt.NDArray[np.int64], shape: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """Spots at or above each threshold, from the number of thresholds that each spot reaches.

    Args:
        cell: One a spot: group, class and number of thresholds as one index into ``shape``.
        shape: (groups, classes, thresholds + 1).

    Returns:
        (groups, classes, thresholds).
    """
    count = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    return count[..., :0:-1].cumsum(axis=2)[..., ::-1]


def curve_of(
    found: npt.NDArray[np.int64], right: npt.NDArray[np.int64], number: npt.NDArray[np.int64]
) -> Curve:
    """The curve from the spots found, those of them that are right, and the number of actions."""
    return Curve(right / np.maximum(found, 1), right / np.maximum(number, 1)[:, None])
