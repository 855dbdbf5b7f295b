"""A grid: explore, put the winners together, confirm against the start."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from hpo.journal.results import TrialState
from hpo.programs.listed import ListedProgram
from hpo.programs.program import Answer, Choice, Program, Proposal
from hpo.space.space import Parameters

K = TypeVar("K", bound=Hashable)
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


class ListedExplorer(Explorer):
    """A list of points that is settled before the first trial.

    Args:
        proposals: In the order in which they are tried.
    """

    def __init__(self, proposals: Sequence[Proposal]) -> None:
        self._proposals = proposals

    @property
    def planned(self) -> int:
        """All of the list."""
        return len(self._proposals)

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """The proposal after those tried; at the end wait for those that run."""
        if len(trials) < len(self._proposals):
            return self._proposals[len(trials)]
        return Answer.DONE if all(trial.has_ended for trial in trials) else Answer.WAIT


class Moves(ListedExplorer):
    """Whole configurations, judged by their score.

    Args:
        moves: What to try beside the start.
        start: Where the grid begins.
        replicates: Seeds of a configuration.
    """

    def __init__(self, moves: Sequence[Parameters], start: Parameters, *, replicates: int = 1) -> None:
        self._start = start
        self._moves = {key_of(move): move for move in (start, *moves)}
        super().__init__(
            [
                grid_proposal(move, replicate)
                for move in self._moves.values()
                for replicate in range(replicates)
            ]
        )

    def found(self, trials: Sequence[TrialState]) -> Parameters:
        """The move with the highest score."""
        best = highest_mean((key_of(trial.parameters), trial.score) for trial in trials)
        return self._start if best is None else dict(self._moves[best])


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


def grid_proposal(parameters: Parameters, replicate: int) -> Proposal:
    """A point of a grid as a trial."""
    return Proposal(parameters=parameters, replicate=replicate, role=GRID)


def highest_mean(scores: Iterable[tuple[K, float | None]]) -> K | None:
    """The key with the highest mean score, of equals the first; None without any score."""
    known: dict[K, list[float]] = {}
    for key, score in scores:
        if score is not None:
            known.setdefault(key, []).append(score)
    means = {key: fmean(values) for key, values in known.items()}
    return max(means, key=lambda key: means[key]) if means else None


def key_of(parameters: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """Something to find equal configurations by."""
    return tuple(sorted(parameters.items()))
