"""What every searcher has in common: the table of trials, the points to start with, no point twice."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hpo.search.design import quasi_random_points
from hpo.space.parameters import Value
from hpo.space.space import Parameters, Space, UnitPoint
from model.errors import ConfigError

# Quasi-random points looked at before a used-up finite space is searched value by value.
_FALLBACK_POINTS = 256


@dataclass(slots=True)
class AskedTrial:
    """A trial that was proposed; pending while it has neither a score nor failed."""

    point: UnitPoint
    """Its parameters on the unit cube."""
    score: float | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """Parameters and the score that they reached."""

    parameters: Parameters
    score: float


class Searcher(ABC):
    """Proposes parameters and learns from scores, higher ones being better. Knows nothing of Ray.

    Trials are named by the caller, so that a resumed study tells about the same trials. The k-th proposal
    depends on nothing but the space, the seed, k, and what is known of the trials asked before; the order in
    which they were told does not matter. Whoever replays a journal goes on exactly as if nothing had stopped.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other, such as known good ones; repeated ones count once.
        known: Scores of earlier trials of the same space, to learn from (warm start); see ``build_searcher``.

    Raises:
        ConfigError: A first or a known point lies outside of the space.
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
        self._taken: set[tuple[Value, ...]] = set()
        self._first = self._distinct(first)
        self._known = [self._ended(point) for point in known]

    @abstractmethod
    def propose(self, number: int) -> Parameters:
        """The point to try as the ``number``-th, counted from 0; it may have been tried before."""

    def ask(self, trial: str) -> Parameters | None:
        """The parameters ``trial`` shall use, or None when the space is used up."""
        number = len(self.trials)
        parameters = self._first[number] if number < len(self._first) else self.propose(number)
        free = parameters if self._is_free(parameters) else self._next_free(number)
        if free is not None:
            self.replay(trial, free)
        return free

    def tell(self, trial: str, score: float) -> None:
        """Record the score of a finished trial; one that is not finite counts as a failure.

        Raises:
            KeyError: ``trial`` was never asked.
        """
        if not math.isfinite(score):
            return self.fail(trial)
        self.trials[trial].score = score
        self.trials[trial].failed = False

    def fail(self, trial: str) -> None:
        """Record that ``trial`` ended without a score.

        Raises:
            KeyError: ``trial`` was never asked.
        """
        self.trials[trial].score = None
        self.trials[trial].failed = True

    def replay(self, trial: str, parameters: Parameters) -> None:
        """Record that ``trial`` was asked with ``parameters``, here or before a restart.

        Raises:
            ConfigError: ``parameters`` lie outside of the space.
            ValueError: ``trial`` was asked before.
        """
        self._require_inside(parameters)
        if trial in self.trials:
            raise ValueError(f"trial {trial} was asked before")
        self.trials[trial] = AskedTrial(self.space.to_unit(parameters))
        self._taken.add(self._key(parameters))

    @property
    def first_count(self) -> int:
        """How many proposals are given beforehand."""
        return len(self._first)

    @property
    def observed(self) -> list[AskedTrial]:
        """All that there is to learn from: the known trials, then its own in the order they were asked."""
        return [*self._known, *self.trials.values()]

    def _ended(self, known: ScoredPoint) -> AskedTrial:
        self._require_inside(known.parameters)
        point = self.space.to_unit(known.parameters)
        finite = math.isfinite(known.score)
        return AskedTrial(point, known.score if finite else None, failed=not finite)

    def _next_free(self, number: int) -> Parameters | None:
        design = quasi_random_points(self.space.dimensions, seed=self.seed, count=number + _FALLBACK_POINTS)
        candidates = itertools.chain(map(self.space.from_unit, design[number:]), self.space.grid())
        return next(filter(self._is_free, candidates), None)

    def _is_free(self, parameters: Parameters) -> bool:
        return self._key(parameters) not in self._taken

    def _key(self, parameters: Parameters) -> tuple[Value, ...]:
        return tuple(parameters[name] for name in self.space.names)

    def _distinct(self, points: Iterable[Parameters]) -> Sequence[Parameters]:
        distinct: dict[tuple[Value, ...], Parameters] = {}
        for parameters in points:
            self._require_inside(parameters)
            distinct.setdefault(self._key(parameters), dict(parameters))
        return list(distinct.values())

    def _require_inside(self, parameters: Parameters) -> None:
        if not self.space.contains(parameters):
            raise ConfigError(
                "a point to search from must lie inside the space",
                point=parameters,
                space=self.space.describe(),
            )
