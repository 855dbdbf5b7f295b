"""Estimates of scores by trials, also by those that have not trained all their epochs."""

from collections.abc import Sequence

from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.search.curves import CurveModel, ScoreEstimate
from hpo.search.fidelities import Curve
from hpo.search.searcher import NOISE


class ScoreEstimates:
    """Estimates of scores that learn from the curves of whole trials.

    Args:
        metric: Name of the metric that is the score.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._curves = CurveModel(NOISE)
        self._learnt: set[int] = set()
        """Indices of the trials whose curves the model has."""

    def learn(self, trials: Sequence[TrialState]) -> None:
        """Learn from the whole ones of all trials of a search; those learnt before are not learnt again."""
        for index in range(len(trials)):
            trial = trials[index]
            if index not in self._learnt and is_whole(trial) and trial.reports:
                self._learnt.add(index)
                self._curves.add(curve_of(trial, self._metric))

    def estimate(self, trial: TrialState) -> ScoreEstimate | None:
        """Return the estimate by a trial; None if it failed, or if nothing shows what to expect of it."""
        if is_whole(trial) and trial.score is not None:
            return ScoreEstimate(trial.score)
        if trial.status is TrialStatus.FAILED or not trial.reports:
            return None
        return self._curves.estimate(curve_of(trial, self._metric))


def curve_of(trial: TrialState, metric: str) -> Curve:
    """Return what a trial reached at each validation."""
    return {epoch: report.metrics[metric] for epoch, report in trial.reports.items()}


def is_whole(trial: TrialState) -> bool:
    """Return whether a trial has trained all its epochs."""
    return trial.status is TrialStatus.FINISHED
