"""Match spots with annotated actions to decide which spots are right."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from model.spots import Spots, positions, strengths, window_maximum


class Matching:
    """Matching of spots and annotated actions for any tolerance."""

    def __init__(self, spots: Spots, actions: npt.NDArray[np.int64]) -> None:
        """Prepare everything that does not depend on the tolerance.

        Args:
            spots: Predictions after suppression.
            actions: (n, 4): half, frame, class, visible (1, else not shown); at most one per cell (half,
                class, frame).
        """
        half, frame, class_index, visible = actions[np.lexsort(actions.T[[1, 2, 0]])].T
        self.spots = spots
        self.actions = Spots(half, frame, class_index, np.ones(len(actions), dtype=np.float32))
        self.visible = visible > 0
        self._frames = max(int(rows.max(initial=0)) for rows in (spots.frame, frame)) + 1
        self._place, self._wanted = positions(spots, self.actions, gap_frames=self._frames)
        self._strength = strengths(spots.score)
        self._row = np.argsort(self._strength)

    def true_positives(self, tolerance_frames: float) -> npt.NDArray[np.bool_]:
        """Return for every spot whether it counts for an action (``counted_for``)."""
        return self.counted_for(tolerance_frames) >= 0

    def counted_for(self, tolerance_frames: float) -> npt.NDArray[np.int64]:
        """Return the row of ``actions`` that every spot counts for; -1 if there is none.

        Actions select in order of time: each takes the most confident spot of its class within half a
        tolerance that no earlier action took, the first one if confidences are equal. Visible and unshown
        actions select alike.

        Actions that share no spot are processed together; only chains of close actions are processed in
        turn.
        """
        # As in ``FrameRate.frame_at``: a tolerance of 126 frames may come as 125.99999999999999.
        reach = int(min(tolerance_frames / 2 + 1e-9, self._frames))
        low = np.searchsorted(self._place, self._wanted - reach, side="left")
        high = np.searchsorted(self._place, self._wanted + reach, side="right")
        turn = _turns(low, high)
        free = self._strength.copy()
        action = np.full(len(self.spots), -1, dtype=np.int64)
        for number in range(int(turn.max(initial=-1)) + 1):
            mine = np.flatnonzero(turn == number)
            best = window_maximum(free, low[mine], high[mine])
            spot = self._row[best[best >= 0]]
            action[spot], free[spot] = mine[best >= 0], -1
        return action

    @cached_property
    def closest(self) -> npt.NDArray[np.int64]:
        """Row of the closest action of the same class and half for every spot; -1 if there is none.

        As in the SoccerNet package, the later of two actions owns the frames from (first + second) // 2 on.
        """
        if not len(self.actions):
            return np.full(len(self.spots), -1, dtype=np.int64)
        # Midway between actions of different halves or classes lies beyond the frames of either.
        midway = (self._wanted[1:] + self._wanted[:-1]) // 2
        closest = np.searchsorted(midway, self._place, side="right")
        start_of_action = (self._wanted - self.actions.frame)[closest]
        same_half_and_class = start_of_action == self._place - self.spots.frame
        return np.where(same_half_and_class, closest, -1)

    @cached_property
    def near_visible(self) -> npt.NDArray[np.bool_]:
        """True for every spot whose closest action of the same class and half is visible.

        False if the half has no action of the class.
        """
        near: npt.NDArray[np.bool_] = np.append(self.visible, False)[self.closest]
        return near


def _turns(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place of every action in its chain of actions with common spots; 0 for the first."""
    index = np.arange(len(low))
    starts_chain = np.append(True, low[1:] >= np.maximum.accumulate(high)[:-1])[: len(low)]
    return index - np.maximum.accumulate(np.where(starts_chain, index, 0))
