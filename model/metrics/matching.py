"""Which spots are right, and whether the action a spot belongs to was shown."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from model.spots import Spots, positions, strengths, window_maximum


class Matching:
    """Spots beside the annotated actions; what does not depend on the tolerance is prepared once."""

    def __init__(self, spots: Spots, actions: npt.NDArray[np.int64]) -> None:
        """Put spots and actions on one line of time.

        Args:
            spots: Predictions that are left after suppression.
            actions: (n, 4): half, frame, class, visible (1, else not shown); at most one a cell.
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
        """Tell for every spot whether it is the one counted for an action (``counted_for``)."""
        return self.counted_for(tolerance_frames) >= 0

    def counted_for(self, tolerance_frames: float) -> npt.NDArray[np.int64]:
        """Row of ``actions`` that every spot is counted for; -1 where there is none.

        Actions choose in the order of time: each takes the most confident spot of its class within half a
        tolerance that no earlier action took; of equals the first. Visible and unshown actions choose alike.

        Actions that share no spot choose at the same time; only chains of close actions take turns.
        """
        reach = int(min(tolerance_frames / 2, self._frames))
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
        """Row of ``actions`` that is closest to every spot among its class and half; -1 where there is none.

        As in the SoccerNet package the later of two actions owns the frames from (first + second) // 2 on.
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
        """Tell for every spot whether the closest action of its class and half is a visible one.

        Without an action of the class in the half the answer is no.
        """
        near: npt.NDArray[np.bool_] = np.append(self.visible, False)[self.closest]
        return near


def _turns(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place of every action in its chain of actions with common spots; 0 for the first."""
    index = np.arange(len(low))
    starts_chain = np.append(True, low[1:] >= np.maximum.accumulate(high)[:-1])[: len(low)]
    return index - np.maximum.accumulate(np.where(starts_chain, index, 0))
