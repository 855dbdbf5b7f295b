"""Ways to explore the grid of slicing parameters of several classes."""

import itertools
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from hpo.journal.results import TrialState
from hpo.programs.grid import Explorer, ListedExplorer, configuration_key, grid_proposal, highest_mean
from hpo.programs.program import Answer, Proposal
from hpo.space.space import Parameters
from hpo.tasks.calf.zones import ZoneFrames, zone_parameters, zones_of

Points = Mapping[str, Sequence[ZoneFrames]]
"""Class -> points of its grid."""


class ClassParallel(ListedExplorer):
    """Every trial moves all classes at once; each class is judged by its own AP.

    The start comes first. Then each class goes through its own grid in a random order of its own, so that no
    class's points come with the same neighbours; a class with fewer points rests at its start at the end.
    Every replicate has other orders, so that a point's mean is one over neighbours too.
    """

    def __init__(self, points: Points, start: Parameters, *, seed: int, replicates: int = 1) -> None:
        self._start = start
        self._classes = tuple(points)
        super().__init__(
            [
                grid_proposal(move, replicate)
                for replicate in range(replicates)
                for move in (start, *_side_by_side(points, start, (seed, replicate)))
            ]
        )

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """The zones of each class with which its AP was highest."""
        found = dict(self._start)
        for name in self._classes:
            found |= zone_parameters(name, _best_zones(trials, name, default=zones_of(self._start, name)))
        return found


class PerClass(Explorer):
    """One class after the other over its grid, the others held, until a whole round changes nothing.

    Args:
        points: In the order of the classes.
        start: Where all classes begin.
        replicates: Seeds of a point.
        rounds: At most.
    """

    def __init__(self, points: Points, start: Parameters, *, replicates: int = 1, rounds: int = 3) -> None:
        self._points, self._start, self._replicates, self._rounds = points, start, replicates, rounds

    @property
    def planned(self) -> int:
        """The start and all points of all classes in every round, with every replicate."""
        return self._replicates * (1 + self._rounds * sum(map(len, self._points.values())))

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """A point that lacks a replicate; WAIT where the class's winner is still open."""
        answer, _ = self._walk(trials)
        return answer

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Where the walk ends."""
        _, current = self._walk(trials)
        return current

    def _walk(self, trials: Sequence[TrialState]) -> tuple[Proposal | Answer, Parameters]:
        """Repeat all decisions so far; nothing else is remembered from one call to the next."""
        known: dict[Hashable, list[TrialState]] = {}
        for trial in trials:
            known.setdefault(configuration_key(trial.parameters), []).append(trial)
        current = self._start
        for _ in range(self._rounds):
            before = current
            for name, points in self._points.items():
                options = [current, *({**current, **zone_parameters(name, zones)} for zones in points)]
                for option in options:
                    replicate = len(known.get(configuration_key(option), ()))
                    if replicate < self._replicates:
                        return grid_proposal(option, replicate), current
                tried = [trial for option in options for trial in known[configuration_key(option)]]
                if not all(trial.has_ended for trial in tried):
                    return Answer.WAIT, current
                zones = _best_zones(tried, name, default=zones_of(current, name))
                current = {**current, **zone_parameters(name, zones)}
            if current == before:
                break
        return Answer.DONE, current


def joint(points: Points, start: Parameters) -> list[Parameters]:
    """Every combination of all classes' points."""
    combinations = itertools.product(*points.values())
    return [_moved(start, dict(zip(points, zones, strict=True))) for zones in combinations]


def shared(points: Points, start: Parameters) -> list[Parameters]:
    """The same point for all classes; the grids of all classes must be equal."""
    (first, *_) = points.values()
    return [_moved(start, dict.fromkeys(points, zones)) for zones in first]


def _side_by_side(points: Points, start: Parameters, seed: tuple[int, ...]) -> list[Parameters]:
    shuffled = {}
    for index, (name, zones) in enumerate(points.items()):
        order = np.random.default_rng([*seed, index]).permutation(len(zones))
        # What is the start already needs no trial of its own.
        shuffled[name] = [zones[place] for place in order if zones[place] != zones_of(start, name)]
    longest = max(map(len, shuffled.values()))
    return [
        _moved(start, {name: zones[move] for name, zones in shuffled.items() if move < len(zones)})
        for move in range(longest)
    ]


def _moved(start: Parameters, zones: Mapping[str, ZoneFrames]) -> Parameters:
    moved = dict(start)
    for name, point in zones.items():
        moved |= zone_parameters(name, point)
    return moved


def _best_zones(trials: Sequence[TrialState], name: str, *, default: ZoneFrames) -> ZoneFrames:
    """Zones of class ``name`` with which its AP was highest; ``default`` if all failed."""
    best = highest_mean((zones_of(trial.parameters, name), _class_score(trial, name)) for trial in trials)
    return default if best is None else best


def _class_score(trial: TrialState, name: str) -> float | None:
    """Area under the AP of one class at the trial's best validation; None for a trial that did not finish."""
    report = trial.reports.get(trial.best_epoch or -1)
    metrics: Mapping[str, float] = report.metrics if report else {}
    return metrics.get(f"ap/{name}") if trial.score is not None else None
