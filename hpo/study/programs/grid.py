"""The grid over the slicing parameters: explore, put the winners together, confirm against the start."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hpo.journal.results import TrialState
from hpo.space.space import Parameters
from hpo.study.programs.listed import ListedProgram
from hpo.study.programs.program import Answer, Choice, Program, Proposal

START, COMBINED, GRID = "start", "combined", "grid"


class Explorer(ABC):
    """Tries points of a grid and names what it found."""

    @property
    @abstractmethod
    def planned(self) -> int:
        """How many trials it takes at most."""

    @abstractmethod
    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """The next trial, its role ``GRID``; WAIT for those that run, or DONE."""

    @abstractmethod
    def found(self, trials: Sequence[TrialState]) -> Parameters:
        """The winners put together, when all is done."""


class GridProgram(Program):
    """Explores, then trains start and find with several fresh seeds and keeps the better.

    Args:
        explorer: What to try.
        start: The configuration that the grid starts from.
        seeds: Trials of the start and of the find at the end.
        first: Replicate of the first of them: one that the exploration does not use.
    """

    def __init__(self, explorer: Explorer, start: Parameters, *, seeds: int, first: int = 1) -> None:
        self._explorer, self._start, self._seeds, self._first = explorer, start, seeds, first

    @property
    def planned(self) -> int:
        """Trials of the exploration, and twice the seeds to confirm."""
        return self._explorer.planned + 2 * self._seeds

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """A point of the grid, then the confirmation."""
        tried = [trial for trial in trials if trial.role == GRID]
        step = self._explorer.step(tried)
        if step is not Answer.DONE:
            return step
        return self._confirmation(tried).next(_confirming(trials))

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Start or find, by their mean over the seeds; the start among equals."""
        tried = [trial for trial in trials if trial.role == GRID]
        return self._confirmation(tried).choice(_confirming(trials))

    def _confirmation(self, tried: Sequence[TrialState]) -> ListedProgram:
        found = self._explorer.found(tried)
        entries = {START: self._start} | ({COMBINED: found} if found != self._start else {})
        return ListedProgram(entries, seeds=self._seeds, first=self._first)


def _confirming(trials: Sequence[TrialState]) -> list[TrialState]:
    return [trial for trial in trials if trial.role != GRID]
