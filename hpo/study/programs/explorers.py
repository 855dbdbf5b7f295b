"""Ways to explore the grid of slicing parameters of several classes."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from hpo.journal.results import TrialState
from hpo.space.space import Parameters
from hpo.study.programs.grid import Explorer
from hpo.study.programs.program import Answer, class_score
from hpo.study.programs.zones import ZoneFrames, zone_parameters, zones_of

Points = Mapping[str, Sequence[ZoneFrames]]
"""Class -> points of its grid."""


class ClassParallel(Explorer):
    """Every trial moves all classes at once; each class is judged by its own AP.

    The start comes first. Then each class goes through its own grid in a random order of its own, so that no
    class's points come with the same neighbours; a class with fewer points rests at its start at the end.
    """

    def __init__(self, points: Points, start: Parameters, *, seed: int) -> None:
        self._start = start
        self._classes = tuple(points)
        self._moves = [start, *_side_by_side(points, start, seed)]

    @property
    def planned(self) -> int:
        """As many as the largest grid has points, and the start."""
        return len(self._moves)

    def step(self, trials: Sequence[TrialState]) -> Parameters | Answer:
        """The next move."""
        if len(trials) < len(self._moves):
            return self._moves[len(trials)]
        return _ended(trials)

    def found(self, trials: Sequence[TrialState]) -> Parameters:
        """The zones of each class from the trial where its AP was highest."""
        found = dict(self._start)
        for name in self._classes:
            found |= zone_parameters(name, _best_zones(trials, name, default=zones_of(self._start, name)))
        return found


class PerClass(Explorer):
    """One class after the other over its grid, the others held, until a whole round changes nothing.

    Args:
        points: In the order of the classes.
        start: Where all classes begin.
        rounds: At most.
    """

    def __init__(self, points: Points, start: Parameters, *, rounds: int = 3) -> None:
        self._points, self._start, self._rounds = points, start, rounds

    @property
    def planned(self) -> int:
        """The start and all points of all classes in every round."""
        return 1 + self._rounds * sum(map(len, self._points.values()))

    def step(self, trials: Sequence[TrialState]) -> Parameters | Answer:
        """A point not tried yet; WAIT where the class's winner is still open."""
        answer, _ = self._walk(trials)
        return answer

    def found(self, trials: Sequence[TrialState]) -> Parameters:
        """Where the walk ends."""
        _, current = self._walk(trials)
        return current

    def _walk(self, trials: Sequence[TrialState]) -> tuple[Parameters | Answer, Parameters]:
        """Repeat all decisions so far; nothing else is remembered from one call to the next."""
        known = {_key(trial.parameters): trial for trial in trials}
        current = self._start
        for _ in range(self._rounds):
            before = current
            for name, points in self._points.items():
                options = [current, *({**current, **zone_parameters(name, zones)} for zones in points)]
                untried = next((option for option in options if _key(option) not in known), None)
                if untried is not None:
                    return untried, current
                tried = [known[_key(option)] for option in options]
                if not all(trial.has_ended for trial in tried):
                    return Answer.WAIT, current
                zones = _best_zones(tried, name, default=zones_of(current, name))
                current = {**current, **zone_parameters(name, zones)}
            if current == before:
                break
        return Answer.DONE, current


class Together(Explorer):
    """Moves of all classes judged by Average-mAP: every combination, or one value that all share."""

    def __init__(self, moves: Sequence[Parameters], start: Parameters) -> None:
        self._start = start
        self._moves = list({_key(move): move for move in (start, *moves)}.values())

    @classmethod
    def joint(cls, points: Points, start: Parameters) -> "Together":
        """Every combination of all classes' points."""
        combinations = itertools.product(*points.values())
        return cls([_moved(start, dict(zip(points, zones, strict=True))) for zones in combinations], start)

    @classmethod
    def shared(cls, points: Points, start: Parameters) -> "Together":
        """The same point for all classes; the grids of all classes must be equal."""
        (first, *_) = points.values()
        return cls([_moved(start, dict.fromkeys(points, zones)) for zones in first], start)

    @property
    def planned(self) -> int:
        """The moves and the start."""
        return len(self._moves)

    def step(self, trials: Sequence[TrialState]) -> Parameters | Answer:
        """The next move."""
        if len(trials) < len(self._moves):
            return self._moves[len(trials)]
        return _ended(trials)

    def found(self, trials: Sequence[TrialState]) -> Parameters:
        """The move with the highest score."""
        finished = [trial for trial in trials if trial.score is not None]
        if not finished:
            return self._start
        return dict(max(finished, key=lambda trial: trial.score or 0.0).parameters)


def _side_by_side(points: Points, start: Parameters, seed: int) -> list[Parameters]:
    shuffled = {}
    for index, (name, zones) in enumerate(points.items()):
        order = np.random.default_rng([seed, index]).permutation(len(zones))
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
    """Zones of class ``name`` where its AP was highest, of equals the first; ``default`` if all failed."""
    best, highest = default, -math.inf
    for trial in trials:
        score = class_score(trial, name)
        if score is not None and score > highest:
            best, highest = zones_of(trial.parameters, name), score
    return best


def _ended(trials: Sequence[TrialState]) -> Answer:
    return Answer.DONE if all(trial.has_ended for trial in trials) else Answer.WAIT


def _key(parameters: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(parameters.items()))
