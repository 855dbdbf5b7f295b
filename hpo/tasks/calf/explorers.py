"""Strategies that explore the grid of slicing parameters of several classes."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hpo.journal.ranking import configuration_key
from hpo.journal.trial_state import TrialState
from hpo.programs.grid import Explorer, ListedExplorer, grid_proposal, highest_mean
from hpo.programs.program import Answer, Proposal
from hpo.search.expected import expected_scores
from hpo.search.searcher import NOISE, AskedTrial
from hpo.space.space import Parameters
from hpo.tasks.calf.zones import ZoneFrames, zone_parameters, zones_of

Points = Mapping[str, Sequence[ZoneFrames]]
"""Class -> points of its grid, in frames."""


class ClassParallel(ListedExplorer):
    """Explores all classes at once: a trial changes every class, and each class is judged by its own AP.

    The first trial is the start. Each class then goes through its grid in its own random order, so that the
    points of different classes are combined at random. A class with fewer points stays at its start at the
    end. Each replicate has other orders, so that the average of a point is also one over combinations.

    Args:
        points: Points of each class.
        start: Configuration that the grid starts from.
        seed: Seed of the random orders.
        replicates: Seeds per point.
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
        """Combine the zones of each class with which its AP is expected to be highest."""
        result = dict(self._start)
        for name in self._classes:
            result |= zone_parameters(name, _best_zones(trials, name, default=zones_of(self._start, name)))
        return result


class PerClass(Explorer):
    """Explores one class after the other with the others fixed, until a whole round changes nothing.

    Args:
        points: Points of each class, in the order in which classes are explored.
        start: Configuration that the grid starts from.
        replicates: Seeds per point.
        rounds: Maximum number of rounds over all classes.
    """

    def __init__(self, points: Points, start: Parameters, *, replicates: int = 1, rounds: int = 3) -> None:
        self._points, self._start, self._replicates, self._rounds = points, start, replicates, rounds

    @property
    def planned(self) -> int:
        """Maximum number of trials: the start and all points of all classes in every round, times seeds."""
        return self._replicates * (1 + self._rounds * sum(map(len, self._points.values())))

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next point to train; WAIT if running trials decide the winner of a class, or DONE."""
        answer, _ = self._decisions(trials)
        return answer

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Return the configuration after the last decision."""
        _, current = self._decisions(trials)
        return current

    def _decisions(self, trials: Sequence[TrialState]) -> tuple[Proposal | Answer, Parameters]:
        """Repeat all decisions so far, since no other state is kept between calls."""
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


def joint_configurations(points: Points, start: Parameters) -> list[Parameters]:
    """Return every combination of the points of all classes."""
    combinations = itertools.product(*points.values())
    return [_moved(start, dict(zip(points, zones, strict=True))) for zones in combinations]


def shared_configurations(points: Points, start: Parameters) -> list[Parameters]:
    """Return configurations in which all classes have the same point; their grids must be equal."""
    (first, *_) = points.values()
    return [_moved(start, dict.fromkeys(points, zones)) for zones in first]


def _side_by_side(points: Points, start: Parameters, seed: tuple[int, ...]) -> list[Parameters]:
    shuffled = {}
    for index, (name, zones) in enumerate(points.items()):
        order = np.random.default_rng([*seed, index]).permutation(len(zones))
        # A point equal to the start needs no trial.
        shuffled[name] = [zones[place] for place in order if zones[place] != zones_of(start, name)]
    longest = max(map(len, shuffled.values()), default=0)
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
    """Return the zones of class ``name`` with the highest expected AP; ``default`` without any AP.

    The AP of a class changes smoothly with its zones, but a single AP is partly luck: a model of all trials
    decides. With few trials, the highest average AP does.
    """
    scored = tuple(
        (zones_of(trial.parameters, name), score)
        for trial in trials
        if (score := _class_score(trial, name)) is not None
    )
    return _highest_expected(scored) if scored else default


@lru_cache(maxsize=256)  # decisions are made again at every proposal
def _highest_expected(scored: tuple[tuple[ZoneFrames, float], ...]) -> ZoneFrames:
    tried = list(dict.fromkeys(zones for zones, _ in scored))
    points = dict(zip(tried, _on_cube(tried), strict=True))
    observed = [AskedTrial(points[zones], score) for zones, score in scored]
    expected = expected_scores(observed, [AskedTrial(points[zones]) for zones in tried], noise=NOISE)
    if not expected:
        return highest_mean(scored) or tried[0]
    return tried[max(range(len(tried)), key=lambda place: expected[place].mean)]


def _on_cube(zones: Sequence[ZoneFrames]) -> npt.NDArray[np.float64]:
    """Return the zones on the unit cube, (count, 4); equal ratios of distances are equally far apart."""
    logarithms: npt.NDArray[np.float64] = np.log(np.abs(np.array(zones)))
    lowest, highest = logarithms.min(axis=0), logarithms.max(axis=0)
    widths = np.where(highest > lowest, highest - lowest, 1.0)
    return np.asarray((logarithms - lowest) / widths)


def _class_score(trial: TrialState, name: str) -> float | None:
    """Return the average AP of one class at the trial's best validation; None for a trial without a score."""
    return trial.metrics.get(f"ap/{name}") if trial.score is not None else None
