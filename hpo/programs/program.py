"""Interface of programs, which decide what a stage trains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from hpo.journal.results import TrialState, scores_by_role
from hpo.space.space import Parameters


class Answer(Enum):
    """Answer of a program that has no trial to propose."""

    WAIT = "wait"
    """The results of running trials decide what comes next."""
    DONE = "done"
    """There are no more trials to train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial to train."""

    parameters: Parameters
    """Hyperparameters; the study file gives those that are not named."""
    replicate: int = 0
    """Distance of its seed from the study's seed. Trials with the same replicate see the same chunks."""
    role: str = ""
    """Name of its configuration within the stage, such as a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration that a stage passes on to the next one."""

    parameters: Parameters
    role: str
    """Name of the configuration within the stage."""
    score: float
    """Average score over its seeds on the validation split."""


class Program(ABC):
    """Decides what a stage trains next and which configuration it chooses.

    The decisions depend only on the trials of the stage, in the order of proposal, so that a resumed stage
    continues with the same decisions.
    """

    @property
    @abstractmethod
    def planned(self) -> int:
        """Maximum number of trials of the stage."""

    @abstractmethod
    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the trial to train after ``trials``, WAIT or DONE."""

    def is_done(self, trials: Sequence[TrialState]) -> bool:
        """Return whether ``trials`` are all trials of the stage and all have ended."""
        return all(trial.has_ended for trial in trials) and self.next(trials) is Answer.DONE

    @abstractmethod
    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Return the best configuration after the last trial; None if no trial has a score."""


def best_by_mean(trials: Sequence[TrialState], *, complete: int = 1) -> Choice | None:
    """Choose the role with the highest average score among those with at least ``complete`` scores."""
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
