"""Base class of searchers: the ask/tell interface, the table of trials, and no point proposed twice."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hpo.search.design import quasi_random_points
from hpo.search.fidelities import SeedCurve
from hpo.space.parameters import Value
from hpo.space.space import Parameters, Space, UnitPoint
from model.errors import ConfigError

# Number of quasi-random points to look at before a finite space is searched point by point.
_FALLBACK_POINTS = 256


@dataclass(slots=True)
class AskedTrial:
    """A proposed trial. It is running until it has a score, has failed, or was abandoned."""

    point: UnitPoint
    """Position of its parameters on the unit cube."""
    score: float | None = None
    """Score of a finished trial; None while it runs, after a failure, and if it was abandoned."""
    failed: bool = False
    """True if the trial could not be trained, which makes its point a poor one."""
    abandoned: bool = False
    """True if the trial ended before anything was known about its point, for example because the user stopped
    it."""
    curves: Sequence[SeedCurve] = ()
    """Validations of each of its seeds so far; empty if only the score is known."""


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """Parameters with the score that they reached."""

    parameters: Parameters
    score: float
    variance: float = 0.0
    """Variance of the score if the trial was stopped and the score is expected; 0 for a whole trial."""
    is_related: bool = False
    """Whether the trial had other data, settings or code, so that only the shape of the scores counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Estimate of what further trials bring."""

    expected: float
    """Expected increase of the best score, in units of the score."""
    trials: int
    """Number of further trials."""
    noise: float
    """Standard deviation of the score between seeds, as the scores show it."""


EXPECTED = 0
"""Epoch of a known score that was only expected: it is compared with others of its kind."""
NOISE = 0.03
"""Standard deviation of the score between seeds that is assumed. For Average-mAP it is 0.03 to 0.04 after
10,000 chunks."""


class Searcher(ABC):
    """Proposes parameters and learns from scores; higher scores are better.

    The caller names the trials, so that a resumed study reports on the same trials. The k-th proposal depends
    only on the space, the seed, k, and the results of the trials proposed before; the order in which results
    were reported does not matter. Replaying a journal therefore continues the search exactly.

    Args:
        space: The space to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other, such as known good ones; duplicates are ignored.
        known: Scores of earlier trials of the same space (warm start); see ``build_searcher``.

    Attributes:
        related: Known trials with other data, settings or code.

    Raises:
        ConfigError: A first or known point lies outside the space.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        first: Iterable[Parameters] = (),
        known: Iterable[ScoredPoint] = (),
    ) -> None:
        self.space = space
        self.seed = seed
        self.trials: dict[str, AskedTrial] = {}
        scored = tuple(known)
        self._known = [self._ended(point) for point in scored if not point.is_related]
        self.related = [self._ended(point) for point in scored if point.is_related]
        self._taken = {self._key(point.parameters) for point in scored if not point.is_related}
        self._first = [point for point in self._distinct(first) if self._is_free(point)]

    learns_from_curves: ClassVar[bool] = False
    """Whether proposals depend on what trials reached before they ended; see ``record_curves``."""

    @abstractmethod
    def propose(self, number: int) -> Parameters:
        """Return the ``number``-th point, counted from 0. The point may have been tried before."""

    def ask(self, trial: str) -> Parameters | None:
        """Return the parameters for ``trial``; None if every point of the space was proposed or is known."""
        if self.free_count == 0:
            return None
        number = len(self.trials)
        first = next(filter(self._is_free, self._first), None)
        parameters = first or self.propose(number)
        free = parameters if self._is_free(parameters) else self._next_free(number)
        if free is not None:
            self.replay(trial, free)
        return free

    def expected_gain(self) -> Gain | None:
        """Estimate what further trials bring; None if the searcher has no model of the scores, or not yet."""
        return None

    def tell(self, trial: str, score: float) -> None:
        """Record the score of a finished trial; a score that is not finite counts as a failure.

        Raises:
            KeyError: No parameters were proposed for ``trial``.
        """
        if not math.isfinite(score):
            return self.fail(trial)
        self._end(trial, score=score)

    def record_curves(self, trial: str, curves: Sequence[SeedCurve]) -> None:
        """Record what each seed of ``trial`` tells so far, also before it ends.

        Raises:
            KeyError: No parameters were proposed for ``trial``.
        """
        self.trials[trial].curves = curves

    def fail(self, trial: str) -> None:
        """Record that ``trial`` could not be trained, which counts as the worst score.

        Raises:
            KeyError: No parameters were proposed for ``trial``.
        """
        self._end(trial, failed=True)

    def abandon(self, trial: str) -> None:
        """Record that ``trial`` ended before it had a score: its point is neither good nor poor.

        No searcher proposes the point again.

        Raises:
            KeyError: No parameters were proposed for ``trial``.
        """
        self._end(trial, abandoned=True)

    def replay(self, trial: str, parameters: Parameters) -> None:
        """Record that ``parameters`` were proposed for ``trial``, here or before a restart.

        Raises:
            ConfigError: ``parameters`` lie outside the space.
            ValueError: ``trial`` already has parameters.
        """
        point = self.place(parameters)
        if trial in self.trials:
            raise ValueError(f"trial {trial} already has parameters")
        self.trials[trial] = AskedTrial(point)
        self._taken.add(self._key(parameters))

    @property
    def free_count(self) -> int | None:
        """Number of points that were neither proposed nor are known; None if the space is continuous."""
        size = self.space.size()
        return None if size is None else size - len(self._taken)

    @property
    def first_count(self) -> int:
        """Number of points to propose before any other."""
        return len(self._first)

    @property
    def observed(self) -> list[AskedTrial]:
        """Known trials with the same data, then its own trials in the order of proposal."""
        return [*self._known, *self.trials.values()]

    def place(self, parameters: Parameters) -> UnitPoint:
        """Return the place of parameters on the unit cube.

        Raises:
            ConfigError: They lie outside the space.
        """
        self._require_inside(parameters)
        return self.space.to_unit(parameters)

    def _end(
        self, trial: str, *, score: float | None = None, failed: bool = False, abandoned: bool = False
    ) -> None:
        asked = self.trials[trial]
        asked.score, asked.failed, asked.abandoned = score, failed, abandoned

    def _ended(self, known: ScoredPoint) -> AskedTrial:
        point = self.place(known.parameters)
        if not math.isfinite(known.score):
            return AskedTrial(point, failed=True)
        expected = SeedCurve({EXPECTED: known.score})
        return AskedTrial(point, known.score, curves=(expected,) if known.variance else ())

    def _next_free(self, number: int) -> Parameters | None:
        design = quasi_random_points(self.space.dimensions, seed=self.seed, count=number + _FALLBACK_POINTS)
        candidates = itertools.chain(map(self.space.from_unit, design[number:]), self.space.grid())
        return next(filter(self._is_free, candidates), None)

    def _is_free(self, parameters: Parameters) -> bool:
        return self._key(parameters) not in self._taken

    def _key(self, parameters: Parameters) -> tuple[Value | None, ...]:
        return tuple(parameters.get(name) for name in self.space.names)

    def _distinct(self, points: Iterable[Parameters]) -> Sequence[Parameters]:
        distinct: dict[tuple[Value | None, ...], Parameters] = {}
        for parameters in points:
            self._require_inside(parameters)
            distinct.setdefault(self._key(parameters), dict(parameters))
        return list(distinct.values())

    def _require_inside(self, parameters: Parameters) -> None:
        if not self.space.contains(parameters):
            raise ConfigError(
                "expected a point inside the search space",
                point=parameters,
                space=self.space.describe(),
            )
