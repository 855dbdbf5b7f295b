"""Trials of one stage, counted and ranked while events arrive."""

from collections import Counter
from collections.abc import Iterable
from typing import Self

from hpo.journal.ranking import Ranking
from hpo.journal.trial_state import TrialState, TrialStatus


class Tally:
    """Counts and ranking of a stage for progress, status and MLflow; no event costs more as trials add up."""

    def __init__(self) -> None:
        self.trials: list[TrialState] = []
        """All trials, in the order of proposal."""
        self.unfinished: dict[str, TrialState] = {}
        """Trials that have not ended, by name."""
        self.ended: list[TrialState] = []
        """Trials that have ended, in the order of their ends."""
        self.retried = 0
        """Number of failed attempts whose trials are trained again."""
        self.statuses: Counter[TrialStatus] = Counter()
        """Number of trials by status."""
        self.epochs = 0
        """Epochs trained by all trials together."""
        self.ranking = Ranking()
        """Configurations, best first."""

    @classmethod
    def of(cls, trials: "Iterable[TrialState]") -> Self:
        """Count and rank ``trials``; they keep their order also as ended trials."""
        tally = cls()
        for trial in trials:
            tally.add(trial)
        return tally

    def add(self, trial: TrialState) -> None:
        """Add a trial in any state."""
        self.trials.append(trial)
        self.retried += trial.attempt - 1
        self.statuses[trial.status] += 1
        self.epochs += trial.epochs_trained
        self.ranking.add(trial)
        if trial.has_ended:
            self.ended.append(trial)
        else:
            self.unfinished[trial.trial] = trial

    def update(self, trial: TrialState, *, status: TrialStatus, epochs: int) -> None:
        """Record a change of a trial that had this ``status`` and had trained ``epochs`` epochs before."""
        self.epochs += trial.epochs_trained - epochs
        self.statuses[status] -= 1
        self.statuses[trial.status] += 1
        if trial.has_ended and trial.trial in self.unfinished:
            del self.unfinished[trial.trial]
            self.ended.append(trial)
            self.ranking.update(trial)
