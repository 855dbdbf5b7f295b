"""Grid stages: explore a grid, combine the winners, compare the result with the start."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from statistics import fmean
from typing import TypeVar

from hpo.journal.ranking import GRID, configuration_key
from hpo.journal.trial_state import TrialState
from hpo.programs.listed import FIRST_CONFIRMATION_REPLICATE, ListedProgram
from hpo.programs.program import Answer, Choice, Program, Proposal, best_choice
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


class ConfigurationExplorer(Explorer):
    """Tries a list of whole configurations and takes the one with the highest average score.

    Args:
        configurations: Configurations to try, in addition to ``start``.
        start: Configuration that the grid starts from.
        replicates: Seeds per configuration.
    """

    def __init__(
        self, configurations: Sequence[Parameters], start: Parameters, *, replicates: int = 1
    ) -> None:
        self._start, self._replicates = start, replicates
        self._configurations = {configuration_key(entry): entry for entry in (start, *configurations)}

    @property
    def planned(self) -> int:
        """Number of configurations, with the start, times seeds."""
        return len(self._configurations) * self._replicates

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial of the list; at its end WAIT for running trials, then DONE."""
        if len(trials) < self.planned:
            place, replicate = divmod(len(trials), self._replicates)
            return grid_proposal(list(self._configurations.values())[place], replicate)
        return Answer.DONE if all(trial.has_ended for trial in trials) else Answer.WAIT

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Return the configuration with the highest average score; the start if all trials failed."""
        ranked = by_mean((configuration_key(trial.parameters), trial.score) for trial in trials)
        return dict(self._configurations[ranked[0]]) if ranked else self._start


class GridProgram(Program):
    """Explores a grid, retrains start and result with new seeds, and chooses the better one.

    Args:
        explorer: Strategy that explores the grid.
        start: Configuration that the grid starts from.
        seeds: Number of seeds with which start and result are retrained; neither the exploration nor the
            search that chose the start uses them.
    """

    def __init__(self, explorer: Explorer, start: Parameters, *, seeds: int) -> None:
        self._explorer, self._start, self._seeds = explorer, start, seeds

    @property
    def planned(self) -> int:
        """Maximum number of trials: those of the exploration and two configurations times ``seeds``."""
        return self._explorer.planned + 2 * self._seeds

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial: first points of the grid, then the comparison with the start."""
        tried = [trial for trial in trials if trial.role == GRID]
        confirming = _confirming(trials)
        # A result that has trials stays: further points of the grid would be of no use.
        has_result = any(trial.role == COMBINED for trial in confirming)
        step = Answer.DONE if has_result else self._explorer.step(tried)
        if step is not Answer.DONE:
            return step
        return self._confirmation(tried, confirming).next(confirming)

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose start or result by the average over seeds; the start if they are equal."""
        return best_choice(_confirming(trials))

    def _confirmation(self, tried: Sequence[TrialState], confirming: Sequence[TrialState]) -> ListedProgram:
        """Return the comparison; a result and seeds that have trials stay, whatever the grid says later."""
        begun = (dict(trial.parameters) for trial in confirming if trial.role == COMBINED)
        result = next(begun, None) or self._explorer.result(tried)
        entries = {START: self._start} | ({COMBINED: result} if result != self._start else {})
        first = min((trial.replicate for trial in confirming), default=FIRST_CONFIRMATION_REPLICATE)
        return ListedProgram(entries, seeds=self._seeds, first_replicate=first)


def _confirming(trials: Sequence[TrialState]) -> list[TrialState]:
    return [trial for trial in trials if trial.role != GRID]


def grid_proposal(parameters: Parameters, replicate: int) -> Proposal:
    """Make the proposal of a trial at a point of a grid."""
    return Proposal(parameters=parameters, replicate=replicate, role=GRID)


def by_mean(scores: Iterable[tuple[K, float | None]]) -> list[K]:
    """Return the keys with a score, the highest average first, equal ones in their order."""
    known: dict[K, list[float]] = {}
    for key, score in scores:
        if score is not None:
            known.setdefault(key, []).append(score)
    means = {key: fmean(values) for key, values in known.items()}
    return sorted(means, key=lambda key: -means[key])
