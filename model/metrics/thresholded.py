"""Metrics at one threshold per class: precision, recall, F1 (figures 6, 12, 13) and class confusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.average_map import LOOSE_TOLERANCES_S
from model.metrics.breakdowns import matchings
from model.metrics.matching import Matching
from model.metrics.precision_recall import THRESHOLDS, at_least, thresholds_reached
from model.spots import Spots
from model.timeline import FrameRate


@dataclass(frozen=True, slots=True)
class ClassResults:
    """Numbers of right and wrong spots by tolerance and class; all arrays are (tolerances, classes)."""

    tolerances_s: tuple[float, ...]
    threshold: npt.NDArray[np.float64]
    """Least confidence of a counted spot, in [0, 1]."""
    true_positives: npt.NDArray[np.int64]
    false_positives: npt.NDArray[np.int64]
    false_negatives: npt.NDArray[np.int64]

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of the spots that are right; 0 without spots."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of the actions that are spotted; 0 without actions."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Harmonic mean of precision and recall; 0 where both are 0."""
        wrong = self.false_positives + self.false_negatives
        return _share(2 * self.true_positives, 2 * self.true_positives + wrong)


@dataclass(frozen=True, slots=True)
class ThresholdCounts:
    """Numbers of spots and right spots at all ``THRESHOLDS``, for each tolerance and class."""

    tolerances_s: tuple[float, ...]
    found: npt.NDArray[np.int64]
    """(tolerances, classes, thresholds): number of spots at least as confident."""
    right: npt.NDArray[np.int64]
    """(tolerances, classes, thresholds): number of these spots that count for an action."""
    actions: npt.NDArray[np.int64]
    """(classes,): number of actions."""

    def best_f1(self) -> npt.NDArray[np.int64]:
        """Find the threshold of the highest F1, as index (tolerances, classes); of equal F1 the lowest.

        For a class without a right spot it is the highest threshold, which shows the fewest of its spots.
        """
        f1 = _share(2 * self.right, self.found + self.actions[:, None])
        best: npt.NDArray[np.int64] = np.where(f1.any(axis=2), f1.argmax(axis=2), f1.shape[2] - 1)
        return best

    def at(self, threshold: npt.NDArray[np.int64]) -> ClassResults:
        """Return the results at the given indices of thresholds, shaped as those of ``best_f1``."""
        found, right = (
            np.take_along_axis(counts, threshold[..., None], axis=2)[..., 0]
            for counts in (self.found, self.right)
        )
        return ClassResults(
            self.tolerances_s, THRESHOLDS[threshold], right, found - right, self.actions - right
        )


def threshold_counts(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    *,
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> ThresholdCounts:
    """Count spots and right spots at every threshold; arguments as in ``average_map``."""
    found, right = [], []
    shape = (1, classes, len(THRESHOLDS) + 1)
    for tolerance_frames, matching in matchings(spots, actions, frame_rate, nms_window_s, tolerances_s):
        cell = matching.spots.class_index * shape[2] + thresholds_reached(matching.spots)
        found.append(at_least(cell, shape)[0])
        right.append(at_least(cell[matching.true_positives(tolerance_frames)], shape)[0])
    number = np.bincount(actions[:, 2], minlength=classes)
    return ThresholdCounts(tuple(tolerances_s), np.array(found), np.array(right), number)


def confusion(
    spots: Spots, actions: npt.NDArray[np.int64], *, classes: int, tolerance_frames: float
) -> npt.NDArray[np.int64]:
    """Count how often an action of one class was spotted as another class.

    Actions are matched with spots of their own class first. The remaining actions and spots are matched by
    the same rule regardless of class.

    Args:
        spots: Spots after suppression and thresholds.
        actions: (n, 4), as in ``average_map``.
        classes: Number of classes (C).
        tolerance_frames: Tolerance in frames, as full width.

    Returns:
        (classes + 1, classes + 1): rows are actions, columns spots; the last row holds spots without an
        action, the last column actions without a spot.
    """
    matching = Matching(spots, actions)
    action = matching.counted_for(tolerance_frames)
    table = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    hit = matching.actions.class_index[action[action >= 0]]
    np.add.at(table, (hit, hit), 1)
    missed = np.setdiff1d(np.arange(len(actions)), action)
    _count_others(
        table, _in_time(matching.spots[action < 0]), _in_time(matching.actions[missed]), tolerance_frames
    )
    return table


def _count_others(
    table: npt.NDArray[np.int64], spots: Spots, actions: Spots, tolerance_frames: float
) -> None:
    """Add pairs of different classes, and what has no partner at all."""
    rows = np.zeros((len(actions), 4), dtype=np.int64)
    rows[:, 0], rows[:, 1] = actions.half, actions.frame
    blind = Spots(spots.half, spots.frame, np.zeros_like(spots.class_index), spots.score)
    action = Matching(blind, rows).counted_for(tolerance_frames)
    paired = action >= 0
    np.add.at(table, (actions.class_index[action[paired]], spots.class_index[paired]), 1)
    table[-1] += np.bincount(spots.class_index[~paired], minlength=len(table))
    table[:, -1] += np.bincount(np.delete(actions.class_index, action[paired]), minlength=len(table))


def _in_time(rows: Spots) -> Spots:
    """Sort by half and frame whatever the class."""
    return rows[np.lexsort((rows.frame, rows.half))]


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Divide; 0 where there is nothing to divide by."""
    share: npt.NDArray[np.float64] = part / np.maximum(whole, 1)
    return share
