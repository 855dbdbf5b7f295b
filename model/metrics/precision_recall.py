"""Precision and recall of spots at confidence thresholds, for all, visible and unshown actions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.matching import Matching
from model.spots import Spots

THRESHOLDS = np.linspace(0.0, 1.0, 200)
"""Confidence thresholds of precision and recall, as in the published codes."""

RECALL_LEVELS = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall of the spots at least as confident as each of ``THRESHOLDS``."""

    precision: npt.NDArray[np.float64]
    """(classes, thresholds), in [0, 1]; 0 if no spot is confident enough."""
    recall: npt.NDArray[np.float64]
    """(classes, thresholds), decreasing; 0 for a class without actions.

    Can exceed 1 for visible or unshown actions: a spot can count for an action of one kind although its
    closest action is of the other kind.
    """

    def average_precision(self) -> npt.NDArray[np.float64]:
        """Compute the 11-point interpolated average precision of every class."""
        reached = self.recall[:, None, :] >= RECALL_LEVELS[:, None]
        best = np.where(reached, self.precision[:, None, :], 0.0).max(axis=2)
        mean: npt.NDArray[np.float64] = best.mean(axis=1)
        return mean


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of all actions, and of visible and unshown actions with the spots that belong to them."""

    all: Curve
    visible: Curve
    unshown: Curve


def precision_recall(matching: Matching, *, classes: int, tolerances_frames: Sequence[float]) -> list[Curves]:
    """Compute precision and recall at all thresholds, for each tolerance.

    A spot belongs to the closest action of its class and half (``Matching.near_visible``). Spots in halves
    without an action of their class belong to the unshown actions, as in the SoccerNet package.

    Args:
        matching: Spots and actions.
        classes: Number of classes (C).
        tolerances_frames: Tolerances in frames, as full widths: a spot may lie half of one before or after
            its action.
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
    """Count, for each spot, the ``THRESHOLDS`` that its confidence reaches."""
    return np.searchsorted(THRESHOLDS, spots.score.astype(np.float64), side="right")


def at_least(cell: npt.NDArray[np.int64], shape: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """Count the spots at or above each threshold, from the number of thresholds that each spot reaches.

    Args:
        cell: Group, class and number of thresholds of each spot, as one index into ``shape``.
        shape: (groups, classes, thresholds + 1).

    Returns:
        (groups, classes, thresholds).
    """
    count = np.bincount(cell, minlength=np.prod(shape)).reshape(shape)
    return count[..., :0:-1].cumsum(axis=2)[..., ::-1]


def curve_of(
    found: npt.NDArray[np.int64], right: npt.NDArray[np.int64], number: npt.NDArray[np.int64]
) -> Curve:
    """Compute the curve from the numbers of spots found, of right spots and of actions."""
    return Curve(right / np.maximum(found, 1), right / np.maximum(number, 1)[:, None])
