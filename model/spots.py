"""Predicted spots of many halves, and their non-maximum suppression in time."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Spots:
    """Predicted actions of many halves, one row each, sorted by (half, class, frame).

    There is at most one spot per cell; a cell is a triple (half, class, frame).
    """

    half: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    class_index: npt.NDArray[np.int64]
    score: npt.NDArray[np.floating[Any]]
    """Confidence in [0, 1]."""

    def __len__(self) -> int:
        """Return the number of spots."""
        return len(self.half)

    def __getitem__(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "Spots":
        """Return the spots of the selected rows."""
        return Spots(self.half[rows], self.frame[rows], self.class_index[rows], self.score[rows])

    @classmethod
    def from_rows(
        cls,
        half: npt.NDArray[np.int64],
        frame: npt.NDArray[np.int64],
        class_index: npt.NDArray[np.int64],
        score: npt.NDArray[np.floating[Any]],
    ) -> "Spots":
        """Sort rows and keep the most confident spot of each cell (half, class, frame)."""
        order = np.lexsort((-score, frame, class_index, half))
        spots = cls(half[order], frame[order], class_index[order], score[order])
        cell = np.column_stack([spots.half, spots.class_index, spots.frame])
        new_cell = np.append(True, np.any(cell[1:] != cell[:-1], axis=1))[: len(cell)]
        return spots[new_cell]


def suppress(spots: Spots, window_frames: int) -> Spots:
    """Apply non-maximum suppression: keep the most confident spot, drop its neighbours of the same class.

    This repeats until every spot is kept or dropped. A spot at frame m clears its own frame and those from
    m - ceil(window/2) to m + floor(window/2) - 1, as in both published codes. If confidences are equal, the
    earlier frame wins. A window of 0 clears nothing. A window of 1, which never ends in the published codes,
    clears the frame before.

    Each round keeps all spots that no stronger spot can clear. The result is the same as keeping one spot
    at a time, after only a few rounds.
    """
    if window_frames == 0:
        return spots
    before, after = math.ceil(window_frames / 2), max(window_frames // 2, 1)
    kept = np.zeros(len(spots), dtype=bool)
    alive = np.arange(len(spots))
    (position,), strength = positions(spots, gap_frames=window_frames), strengths(spots.score)
    while len(alive):
        here = position[alive]
        # A spot is cleared by stronger ones from `after - 1` frames before it to `before` frames behind it.
        low = np.searchsorted(here, here - (after - 1), side="left")
        high = np.searchsorted(here, here + before, side="right")
        winner = strength[alive] == window_maximum(strength[alive], low, high)
        kept[alive[winner]] = True
        clearing = window_maximum(np.where(winner, strength[alive], -1), low, high)
        alive = alive[clearing < strength[alive]]
    return spots[kept]


def positions(*rows: Spots, gap_frames: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Map spots to one time axis, on which halves and classes lie more than ``gap_frames`` apart.

    Returns:
        One array of increasing positions for each of ``rows``; all arrays share the axis.
    """
    filled = [part for part in rows if len(part)]
    span = max((int(part.frame.max()) for part in filled), default=0) + 1 + gap_frames
    classes = max((int(part.class_index.max()) for part in filled), default=0) + 1
    return tuple((part.half * classes + part.class_index) * span + part.frame for part in rows)


def strengths(score: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Rank scores without ties: a higher score has a higher rank; of equal scores, the earlier row."""
    order = np.lexsort((-np.arange(len(score)), score))
    rank = np.empty(len(score), dtype=np.int64)
    rank[order] = np.arange(len(score))
    return rank


def window_maximum(
    values: npt.NDArray[np.int64], low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Compute the maximum of values[low:high] for every pair; -1, below any rank, where low >= high."""
    if not len(low):
        return np.empty(0, dtype=np.int64)
    edges = np.column_stack([low, high]).ravel()
    return np.where(low < high, np.maximum.reduceat(np.append(values, -1), edges)[::2], -1)
