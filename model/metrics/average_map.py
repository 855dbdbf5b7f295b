"""Average-mAP of spots (section 4.1): 11-point average precision, averaged over classes and tolerances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.spots import Spots, positions, strengths, suppress, window_maximum
from model.timeline import FrameRate

LOOSE_TOLERANCES_S = tuple(float(5 * step) for step in range(1, 13))
"""5 to 60 seconds, full widths: a spot may lie half a tolerance before or after its action."""

THRESHOLDS = np.linspace(0.0, 1.0, 200)
"""Confidences at which precision and recall are read, as in the published codes."""

RECALL_LEVELS = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class AverageMap:
    """Scores of a set of spots, all in [0, 1]."""

    tolerances_s: tuple[float, ...]
    average_precision: npt.NDArray[np.float64]
    """(tolerances, classes); 0 for a class without actions, as in the published codes."""

    @property
    def average_map(self) -> float:
        """Area under the mAP over the tolerances, by the trapezoid rule, divided by their range."""
        return _mean_over_tolerances(self.average_precision.mean(axis=1))

    @property
    def per_class(self) -> tuple[float, ...]:
        """The same area for every class alone."""
        return tuple(_mean_over_tolerances(column) for column in self.average_precision.T)


def _mean_over_tolerances(values: npt.NDArray[np.float64]) -> float:
    if len(values) == 1:
        return float(values[0])
    return float((values[1:] + values[:-1]).sum() / 2 / (len(values) - 1))


def average_map(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    *,
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> AverageMap:
    """Score spots against the annotated actions.

    Args:
        spots: Predictions before non-maximum suppression.
        actions: (n, 4): half, frame, class, visible.
        classes: C.
        frame_rate: Converts tolerances to frames.
        nms_window_s: Width of the suppression; None suppresses within each tolerance (2020 code, the
            paper's numbers), a number is used for all tolerances (2021 code: 20 s).
        tolerances_s: Full widths.
    """
    rows = []
    fixed = None if nms_window_s is None else suppress(spots, frame_rate.to_frames(nms_window_s))
    for tolerance_s in tolerances_s:
        frames = frame_rate.to_frames(tolerance_s)
        kept = suppress(spots, frames) if fixed is None else fixed
        rows.append(_precision_per_class(kept, actions, classes, tolerance_s * frame_rate.per_second))
    return AverageMap(tuple(tolerances_s), np.array(rows))


def _precision_per_class(
    spots: Spots, actions: npt.NDArray[np.int64], classes: int, tolerance_frames: float
) -> list[float]:
    correct = true_positives(spots, actions, tolerance_frames)
    result = []
    for index in range(classes):
        mine = spots.class_index == index
        number = int((actions[:, 2] == index).sum())
        result.append(_average_precision(spots.score[mine].astype(np.float64), correct[mine], number))
    return result


def true_positives(
    spots: Spots, actions: npt.NDArray[np.int64], tolerance_frames: float
) -> npt.NDArray[np.bool_]:
    """Tell for every spot whether it is the one counted for an action.

    Actions choose in the order of time: each takes the most confident spot of its class within half a
    tolerance that no earlier action took; of equals the first.

    Actions that share no spot choose at the same time; only chains of close actions take turns.
    """
    correct = np.zeros(len(spots), dtype=bool)
    if not len(spots) or not len(actions):
        return correct
    reach = tolerance_frames / 2
    truth = Spots.from_rows(
        actions[:, 0], actions[:, 1], actions[:, 2], np.ones(len(actions), dtype=np.float32)
    )
    place, wanted = positions(spots, truth, gap_frames=int(reach) + 1)
    low = np.searchsorted(place, wanted - reach, side="left")
    high = np.searchsorted(place, wanted + reach, side="right")
    strength = strengths(spots.score)
    turn = _turns(low, high)
    for number in range(int(turn.max()) + 1):
        mine = turn == number
        best = window_maximum(np.where(correct, -1, strength), low[mine], high[mine])
        correct |= np.isin(strength, best[best >= 0], assume_unique=True)
    return correct


def _turns(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place of every action in its chain of actions with common spots; 0 for the first."""
    index = np.arange(len(low))
    starts_chain = np.append(True, low[1:] >= np.maximum.accumulate(high)[:-1])
    return index - np.maximum.accumulate(np.where(starts_chain, index, 0))


def _average_precision(score: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], number: int) -> float:
    """11-point interpolated average precision of one class with ``number`` actions."""
    if not number or not len(score):
        return 0.0
    order = np.argsort(-score, kind="stable")
    hits = np.append(0, np.cumsum(correct[order]))
    taken = len(score) - np.searchsorted(score[order][::-1], THRESHOLDS, side="left")
    precision = hits[taken] / np.maximum(taken, 1)
    recall = hits[taken] / number
    reached = recall >= RECALL_LEVELS[:, None]
    return float(np.where(reached, precision, 0.0).max(axis=1).mean())
