"""Strategies that explore the grid of slicing parameters of several classes."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod

import numpy as np
import numpy.typing as npt

from hpo.journal.ranking import configuration_key
from hpo.journal.trial_state import TrialState
from hpo.programs.grid import Explorer, by_mean, grid_proposal
from hpo.programs.program import Answer, Proposal
from hpo.search.expected import expected_scores
from hpo.search.searcher import NOISE, AskedTrial
from hpo.space.space import Parameters
from hpo.tasks.calf.zones import ZoneFrames, zone_parameters, zones_of
from model.errors import ConfigError

Points = Mapping[str, Sequence[ZoneFrames]]
"""Class -> points of its grid, in frames."""
MOST_COMBINATIONS = 10_000
"""Number of combinations of the points of all classes that a grid may try; all of them are kept in memory."""
LEAST_KEPT = 2
"""Number of points of a class below which halving stops."""


class ClassParallel(Explorer):
    """Explores all classes at once: a trial changes every class, and each class is judged by its own AP.

    A sweep goes through the points of every class, each class in its own random order, so that the points of
    different classes are combined at random; a class with fewer points repeats some. The first trial is the
    start. After a sweep through all points, successive halving (Karnin et al., ICML 2013) spends the other
    replicates where the decision is open: each round costs about as many trials as the first one, but keeps
    only the better half of each class's points, by expected AP, and trains them with twice as many seeds.

    Args:
        points: Points of each class.
        start: Configuration that the grid starts from.
        seed: Seed of the random orders.
        replicates: Seeds per point, on average; the number of rounds.
    """

    def __init__(self, points: Points, start: Parameters, *, seed: int, replicates: int = 1) -> None:
        self._start, self._seed = start, seed
        self._points = {
            name: tuple(dict.fromkeys((zones_of(start, name), *zones))) for name, zones in points.items()
        }
        counts = [len(zones) for zones in self._points.values()]
        self._sweeps = _halving_sweeps(max(counts, default=1), rounds=replicates)

    @property
    def planned(self) -> int:
        """Length of all sweeps together."""
        return sum(sweep.trials for sweep in self._sweeps)

    def step(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial of the sweep; WAIT for running trials at the end of a round, or DONE."""
        place, decided = len(trials), 0
        for replicate, sweep in enumerate(self._sweeps):
            if sweep.is_first:
                decided = len(trials) - place
            if place < sweep.trials:
                earlier = trials[:decided]
                if not all(trial.has_ended for trial in earlier):
                    return Answer.WAIT
                zones = {name: self._order(name, replicate, sweep, earlier) for name in self._points}
                move = {name: order[place % len(order)] for name, order in zones.items()}
                return grid_proposal(_moved(self._start, move), replicate)
            place -= sweep.trials
        return Answer.DONE if all(trial.has_ended for trial in trials) else Answer.WAIT

    def result(self, trials: Sequence[TrialState]) -> Parameters:
        """Combine the zones of each class with which its AP is expected to be highest."""
        return _moved(self._start, {name: self._ranked(name, trials)[0] for name in self._points})

    def _order(
        self, name: str, replicate: int, sweep: "_Sweep", earlier: Sequence[TrialState]
    ) -> list[ZoneFrames]:
        """Return the points of one class in the order of a sweep."""
        points = self._ranked(name, earlier)[: _kept(len(self._points[name]), sweep.halvings)]
        rng = np.random.default_rng([self._seed, replicate, list(self._points).index(name)])
        first = 1 if replicate == 0 else 0  # the first trial of all is the start
        return points[:first] + [points[first + place] for place in rng.permutation(len(points) - first)]

    def _ranked(self, name: str, trials: Sequence[TrialState]) -> list[ZoneFrames]:
        return _ranked(trials, name, self._points[name])


@dataclass(frozen=True)
class _Sweep:
    """One training of each point that is left in a round of successive halving."""

    halvings: int
    """Number of times the points were halved before."""
    trials: int
    """Length: the number of points left of the class with most points."""
    is_first: bool
    """Whether this is the first sweep of its round."""


def _kept(points: int, halvings: int) -> int:
    """Return how many points of a class are left; a comparison needs two."""
    return max(min(points, LEAST_KEPT), ceil(points * 0.5**halvings))


def _halving_sweeps(points: int, *, rounds: int) -> list[_Sweep]:
    """Return the sweeps of rounds that cost about ``points`` trials each."""
    sweeps = []
    for halvings in range(rounds):
        trials = _kept(points, halvings)
        # Half of an odd number is rounded up: two sweeps of that cost one trial more than ``points``.
        count = round(points / trials)
        sweeps += [_Sweep(halvings, trials, is_first=number == 0) for number in range(count)]
    return sweeps


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
                moved = ({**current, **zone_parameters(name, zones)} for zones in points)
                # The present one may be among the points; its trials count once.
                options = list({configuration_key(each): each for each in (current, *moved)}.values())
                for option in options:
                    replicate = len(known.get(configuration_key(option), ()))
                    if replicate < self._replicates:
                        return grid_proposal(option, replicate), current
                tried = [trial for option in options for trial in known[configuration_key(option)]]
                if not all(trial.has_ended for trial in tried):
                    return Answer.WAIT, current
                zones = _ranked(tried, name, [zones_of(current, name), *points])[0]
                current = {**current, **zone_parameters(name, zones)}
            if current == before:
                break
        return Answer.DONE, current


def joint_configurations(points: Points, start: Parameters) -> list[Parameters]:
    """Return every combination of the points of all classes.

    Raises:
        ConfigError: There are more than ``MOST_COMBINATIONS``.
    """
    count = prod(map(len, points.values()))
    if count > MOST_COMBINATIONS:
        raise ConfigError(
            f"expected at most {MOST_COMBINATIONS:,} combinations of all classes' points, got {count:,}",
            key="stages.grid-slicing.mode",
            fix="use --mode class-parallel, which needs as many trials as one class has points, or give the "
            "grid fewer values",
        )
    combinations = itertools.product(*points.values())
    return [_moved(start, dict(zip(points, zones, strict=True))) for zones in combinations]


def shared_configurations(points: Points, start: Parameters) -> list[Parameters]:
    """Return configurations in which all classes have the same point; their grids must be equal."""
    (first, *_) = points.values()
    return [_moved(start, dict.fromkeys(points, zones)) for zones in first]


def _moved(start: Parameters, zones: Mapping[str, ZoneFrames]) -> Parameters:
    moved = dict(start)
    for name, point in zones.items():
        moved |= zone_parameters(name, point)
    return moved


def _ranked(trials: Sequence[TrialState], name: str, points: Sequence[ZoneFrames]) -> list[ZoneFrames]:
    """Return the points of class ``name``, the highest expected AP first, then those without any AP.

    The AP of a class changes smoothly with its zones, but a single AP is partly luck: a model of all trials
    decides. With few trials, the average AP does.
    """
    scored = tuple(
        (zones_of(trial.parameters, name), score)
        for trial in trials
        if (score := _class_score(trial, name)) is not None
    )
    return list(dict.fromkeys((*_by_expected_ap(scored), *points)))


@lru_cache(maxsize=256)  # decisions are made again at every proposal
def _by_expected_ap(scored: tuple[tuple[ZoneFrames, float], ...]) -> tuple[ZoneFrames, ...]:
    tried = by_mean(scored)
    if not tried:
        return ()
    points = dict(zip(tried, _on_cube(tried), strict=True))
    observed = [AskedTrial(points[zones], score) for zones, score in scored]
    expected = expected_scores(observed, [AskedTrial(points[zones]) for zones in tried], noise=NOISE)
    if not expected:
        return tuple(tried)
    return tuple(tried[place] for place in np.argsort([-each.mean for each in expected], kind="stable"))


def _on_cube(zones: Sequence[ZoneFrames]) -> npt.NDArray[np.float64]:
    """Return the zones on the unit cube, (count, 4); equal ratios of distances are equally far apart."""
    logarithms: npt.NDArray[np.float64] = np.log(np.abs(np.array(zones)))
    lowest, highest = logarithms.min(axis=0), logarithms.max(axis=0)
    widths = np.where(highest > lowest, highest - lowest, 1.0)
    return np.asarray((logarithms - lowest) / widths)


def _class_score(trial: TrialState, name: str) -> float | None:
    """Return the average AP of one class at the trial's best validation; None for a trial without a score."""
    return trial.metrics.get(f"ap/{name}") if trial.score is not None else None
