"""The common form of all programs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from hpo.journal.results import TrialState, scores_by_role
from hpo.space.space import Parameters


class Answer(Enum):
    """What a program says when it has no trial to propose."""

    WAIT = "wait"
    """Trials that run now decide what comes next."""
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One trial to train."""

    parameters: Parameters
    """What it does not take from the study file."""
    replicate: int = 0
    """Its seed is so far from the study's; equal replicates of different parameters see the same chunks."""
    role: str = ""
    """What it is in its stage, such as the name of a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration that a stage hands on."""

    parameters: Parameters
    role: str
    score: float
    """Mean over its seeds on the validation split."""


class Program(ABC):
    """Decides from the trials of its stage, in the order they were asked, and from nothing else."""

    @property
    @abstractmethod
    def planned(self) -> int:
        """How many trials the stage takes at most."""

    @abstractmethod
    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """What to train after ``trials``."""

    def is_done(self, trials: Sequence[TrialState]) -> bool:
        """Whether ``trials`` are all and none of them runs."""
        return all(trial.has_ended for trial in trials) and self.next(trials) is Answer.DONE

    @abstractmethod
    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """The best configuration when all is done; None when no trial finished."""


def best_by_mean(trials: Sequence[TrialState], *, complete: int = 1) -> Choice | None:
    """The role with the highest mean score, of those with ``complete`` or more finished trials."""
    means = {
        role: fmean(scores.values())
        for role, scores in scores_by_role(trials).items()
        if len(scores) >= complete
    }
    if not means:
        return None
    role = max(means, key=lambda role: means[role])
    parameters = next(dict(trial.parameters) for trial in trials if trial.role == role)
    return Choice(parameters=parameters, role=role, score=means[role])
