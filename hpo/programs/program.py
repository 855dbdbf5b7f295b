"""Interface of programs, which decide what a stage trains."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hpo.journal.ranking import Expected, ranked
from hpo.journal.trial_state import TrialState
from hpo.search.searcher import Gain
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
    best_trial: str
    """The trial with the highest score, whose network represents the configuration."""
    expected: Mapping[str, Expected] = field(default_factory=dict)
    """Configuration -> score that a model expects, highest first; empty if the mean over seeds decides."""


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

    def expected_gain(self, trials: Sequence[TrialState]) -> Gain | None:
        """Estimate what trials after ``trials`` bring; None where no model says it."""
        return None

    @abstractmethod
    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Return the best configuration after the last trial; None if no trial has a score."""


def best_choice(trials: Sequence[TrialState]) -> Choice | None:
    """Choose the best configuration of ``trials``; None if no trial has a score."""
    for best in ranked(trials)[:1]:
        return Choice(
            parameters=dict(best.parameters),
            role=best.name,
            score=best.mean,
            best_trial=best.best_trial.trial,
        )
    return None
