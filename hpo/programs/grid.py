"""Grid stages: explore a grid, combine the winners, compare the result with the start."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from statistics import fmean
from typing import TypeVar

from hpo.journal.ranking import GRID, configuration_key
from hpo.journal.trial_state import TrialState
from hpo.programs.listed import ListedProgram
from hpo.programs.program import Answer, Choice, Program, Proposal
from hpo.space.space import Parameters

K = TypeVar("K", bound=Hashable)
START, COMBINED = "start", "combined"


class Explorer(ABC):
    """Interface of strategies that explore a grid."""

    @property
    @abstractmethod
    def planned(self) -> int:
        """Maximum number of trials."""

    @abstractmethod
    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial, with role ``GRID``; WAIT if running trials decide it, or DONE."""

    @abstractmethod
    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Return the configuration that combines the winners; all trials have ended."""


class ListedExplorer(Explorer):
    """Explores a list of points that is fixed before the first trial.

    Args:
        proposals: Trials in the order in which they start.
    """

    def __init__(self, proposals: Sequence[Proposal]) -> None:
        self._proposals = proposals

    @property
    def planned(self) -> int:
        """Length of the list."""
        return len(self._proposals)

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial of the list; at its end WAIT for running trials, then DONE."""
        if len(trials) < len(self._proposals):
            return self._proposals[len(trials)]
        return Answer.DONE if all(trial.has_ended for trial in trials) else Answer.WAIT


class ConfigurationExplorer(ListedExplorer):
    """Tries a list of whole configurations and takes the one with the highest average score.

    Args:
        configurations: Configurations to try, in addition to ``start``.
        start: Configuration that the grid starts from.
        replicates: Seeds per configuration.
    """

    def __init__(
        self, configurations: Sequence[Parameters], start: Parameters, *, replicates: int = 1
    ) -> None:
        self._start = start
        self._configurations = {configuration_key(entry): entry for entry in (start, *configurations)}
        super().__init__(
            [
                grid_proposal(entry, replicate)
                for entry in self._configurations.values()
                for replicate in range(replicates)
            ]
        )

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Return the configuration with the highest average score; the start if all trials failed."""
        best = highest_mean((configuration_key(trial.parameters), trial.score) for trial in trials)
        return self._start if best is None else dict(self._configurations[best])


class GridProgram(Program):
    """Explores a grid, retrains start and result with new seeds, and chooses the better one.

    Args:
        explorer: Strategy that explores the grid.
        start: Configuration that the grid starts from.
        seeds: Number of seeds with which start and result are retrained.
        first_replicate: Replicate of the first of these seeds; the exploration must not use it.
    """

    def __init__(
        self, explorer: Explorer, start: Parameters, *, seeds: int, first_replicate: int = 1
    ) -> None:
        self._explorer, self._start = explorer, start
        self._seeds, self._first_replicate = seeds, first_replicate

    @property
    def planned(self) -> int:
        """Maximum number of trials: those of the exploration and two configurations times ``seeds``."""
        return self._explorer.planned + 2 * self._seeds

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial: first points of the grid, then the comparison with the start."""
        tried = [trial for trial in trials if trial.role == GRID]
        step = self._explorer.step(tried)
        if step is not Answer.DONE:
            return step
        return self._confirmation(tried).next(_confirming(trials))

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose start or result by the average over seeds; the start if they are equal."""
        tried = [trial for trial in trials if trial.role == GRID]
        return self._confirmation(tried).choice(_confirming(trials))

    def _confirmation(self, tried: Sequence[TrialState]) -> ListedProgram:
        result = self._explorer.result(tried)
        entries = {START: self._start} | ({COMBINED: result} if result != self._start else {})
        return ListedProgram(entries, seeds=self._seeds, first_replicate=self._first_replicate)


def _confirming(trials: Sequence[TrialState]) -> list[TrialState]:
    return [trial for trial in trials if trial.role != GRID]


def grid_proposal(parameters: Parameters, replicate: int) -> Proposal:
    """Make the proposal of a trial at a point of a grid."""
    return Proposal(parameters=parameters, replicate=replicate, role=GRID)


def highest_mean(scores: Iterable[tuple[K, float | None]]) -> K | None:
    """Return the key with the highest average score, the first of equal ones; None without any score."""
    known: dict[K, list[float]] = {}
    for key, score in scores:
        if score is not None:
            known.setdefault(key, []).append(score)
    means = {key: fmean(values) for key, values in known.items()}
    return max(means, key=lambda key: means[key]) if means else None
