"""Early stopping by asynchronous successive halving, as Ray Tune's ``ASHAScheduler`` decides."""

import bisect
import math

from hpo.schedule.rule import StoppingRule


class AshaRule(StoppingRule):
    """Rule that stops a trial at a rung unless its score is among the best there.

    Rungs lie at ``grace``, ``grace * reduction_factor``, ``grace * reduction_factor ** 2``, ... epochs. A
    trial continues if its score reaches the quantile ``1 - 1 / reduction_factor`` of the scores that earlier
    trials had at the rung. After Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020.

    The decisions are those of Ray's ``ASHAScheduler`` with one bracket and ``stop_last_trials=False``, which
    sorts all scores of a rung at every validation. Here they stay sorted, so that 10,000 trials are replayed
    in a moment.

    Args:
        epochs: Epochs of a trial; its last validation cannot stop it.
        grace: Epoch of the first rung.
        reduction_factor: One in ``reduction_factor`` trials continues past a rung.
    """

    def __init__(self, *, epochs: int, grace: int, reduction_factor: float) -> None:
        self._epochs = epochs
        self._quantile = 1 - 1 / reduction_factor
        rungs = int(math.log(epochs / grace) / math.log(reduction_factor) + 1)
        self._milestones = [grace * reduction_factor**rung for rung in range(rungs)]
        self._scores: list[list[float]] = [[] for _ in self._milestones]
        """Sorted scores of the trials that came to each rung."""
        self._rungs: dict[str, int] = {}
        """Trial -> number of rungs that lie at its last validation or before."""
        self._latest: dict[str, int] = {}
        self._stopped: set[str] = set()

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Record a validation and decide. Scores that are not finite are ignored."""
        is_new = epoch > self._latest.get(trial, 0) and math.isfinite(score)
        if is_new and trial not in self._stopped:
            self._latest[trial] = epoch
            self._record(trial, epoch, score)
        return trial in self._stopped

    def _record(self, trial: str, epoch: int, score: float) -> None:
        rungs = bisect.bisect_right(self._milestones, epoch)
        if rungs == self._rungs.get(trial, 0):
            return
        self._rungs[trial] = rungs
        scores = self._scores[rungs - 1]
        if epoch < self._epochs and scores and score < _quantile(scores, self._quantile):
            self._stopped.add(trial)
        bisect.insort(scores, score)


def _quantile(ordered: list[float], share: float) -> float:
    """Return a quantile of sorted numbers, interpolated and rounded as ``numpy.percentile`` does it."""
    position = (len(ordered) - 1) * (share * 100 / 100)  # as a percentage, for numpy's rounding
    below = math.floor(position)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    weight = position - below
    if weight >= 0.5:
        return high - (high - low) * (1 - weight)
    return low + (high - low) * weight
