"""Bayesian optimisation with a model that learns the noise, from whole and from stopped trials."""

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.search.design import quasi_random_points
from hpo.search.gain import SAMPLES, TRIALS, expected_gain
from hpo.search.improvement import noisy_improvement
from hpo.search.model_based import POINTS_SEEN, ModelSearcher
from hpo.search.noisy_process import (
    NoisyProcess,
    best_observed,
    fit_process,
    noise_between_seeds,
    possible_scores,
    predicted,
)
from hpo.search.observations import Observations, observations, related_observations, running_points
from hpo.search.searcher import NOISE, Gain, ScoredPoint
from hpo.space.space import Parameters, Space, UnitPoint

INITIAL_POINTS, INITIAL_WITH_RELATED = 5, 3
"""Points before the model proposes; with related scores fewer, and the best of those comes first."""
SPREAD_POINTS = 256
"""Candidates all over the space."""
TOP, NEAR_POINTS, NEAR = 3, 64, 0.1
"""Best points, candidates around each, and the standard deviation of their distance per axis."""
ROUNDS, KEPT, CHILDREN, SHRINKING = 6, 4, 32, 0.6
"""Rounds in which the best candidates are improved by candidates ever closer to them."""
LISTED = 1000
"""Number of free points of a finite space up to which all of them are the candidates."""
GUESS_TRIALS, GUESS_SPREAD = 10, 0.25
"""Number of points from which on the first guess weighs less than the expected improvement, and the standard
deviation per axis of the distance of the best point from it."""

Array = npt.NDArray[np.float64]


class BoTorchSearcher(ModelSearcher):
    """Searcher by the noisy expected improvement of a Gaussian process of BoTorch.

    Each seed of a point is an observation of its own. Stopped and running trials are observations too, at
    early epochs, where all trials can be compared. Candidates are compared where their trials would be, but
    for whole numbers of large spaces, which are rounded afterwards.

    The expected improvement is multiplied by a density around the first guess, whose power falls with the
    number of points, so that a wrong guess delays the search but does not mislead it. Hvarfner et al., piBO:
    Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization, 2022.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other.
        known: Scores of earlier trials of the same space. Those with other data, settings or code are a
            prior of the scores, which loses weight where the new scores disagree.
        guess: Point near which the best one is expected, such as the values in use today. Related scores say
            better where to expect it, and take its place.
        noise: Standard deviation of the score over seeds that is assumed before the scores show another.
    """

    initial_points = INITIAL_POINTS
    learns_from_curves = True

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        first: Iterable[Parameters] = (),
        known: Iterable[ScoredPoint] = (),
        guess: Parameters | None = None,
        noise: float = NOISE,
    ) -> None:
        super().__init__(space, seed=seed, first=first, known=known)
        self._noise = noise
        self._guess = None if guess is None else self.place(guess)
        self._related = related_observations(self.related)
        if self._related is not None:
            self.initial_points, self._guess = INITIAL_WITH_RELATED, None
        self._fitted: tuple[Observations, NoisyProcess] | None = None

    def propose(self, number: int) -> Parameters:
        """Return the point of the highest related score first, then those of the design and of the model."""
        with threadpool_limits(limits=1):
            if self._prior is not None and number <= self.first_count:
                return self.space.from_unit(best_observed(self._prior))
        return super().propose(number)

    def expected_gain(self) -> Gain | None:
        """Estimate what further trials bring, with the model that proposes the next one."""
        if not self.has_model:
            return None
        observed = observations(self.observed, limit=POINTS_SEEN)
        if not observed.reach_end:
            return None
        seed = self.seed_of(len(self.trials))
        with threadpool_limits(limits=1):
            model = self._model_of(observed)
            expected = expected_gain(
                lambda candidates: possible_scores(model, candidates, samples=SAMPLES, seed=seed),
                best_observed(model),
                space=self.space,
                seed=seed,
            )
        return Gain(expected=expected, trials=TRIALS, noise=noise_between_seeds(model))

    def suggest(self, number: int) -> Parameters:
        """Return the free candidate with the highest expected improvement."""
        observed = observations(self.observed, limit=POINTS_SEEN)
        # One thread: the same bits whatever the number of cores, and the cores belong to the trials.
        with threadpool_limits(limits=1):
            model = self._model_of(observed)
            improvement = noisy_improvement(
                model, running=np.array(running_points(self.observed)), seed=self.seed_of(number)
            )

            def gain(candidates: Array) -> Array:
                return improvement(candidates) + self._belief(candidates, len(model.points))

            if self.free_count is not None and self.free_count <= LISTED:
                free = filter(self._is_free, self.space.grid())
                candidates = np.array([self.space.to_unit(point) for point in free])
                best = candidates[np.argmax(gain(candidates))]
            else:
                best = self._climb(
                    lambda points: np.where(self._are_free(points), gain(points), -np.inf), model, number
                )
        return self.space.from_unit(best)

    def _climb(self, gain: Callable[[Array], Array], model: NoisyProcess, number: int) -> UnitPoint:
        """Return the candidate with the highest gain after all rounds."""
        random = np.random.default_rng([self.seed, number])
        means, _ = predicted(model, model.points)
        near = self._around(model.points[np.argsort(-means)[:TOP]], NEAR, NEAR_POINTS, random)
        spread = quasi_random_points(self.space.dimensions, seed=self.seed_of(number), count=SPREAD_POINTS)
        candidates = self.space.as_tried(np.vstack([spread, near]))
        gains, distance = gain(candidates), NEAR
        for _ in range(ROUNDS):
            best = np.argsort(-gains, kind="stable")[:KEPT]
            closer = self.space.as_tried(self._around(candidates[best], distance, CHILDREN, random))
            candidates = np.vstack([candidates[best], closer])
            gains = np.concatenate([gains[best], gain(closer)])
            distance *= SHRINKING
        highest: UnitPoint = candidates[np.argmax(gains)]
        return highest

    def _are_free(self, candidates: Array) -> npt.NDArray[np.bool_]:
        """Whether each candidate leads to a point that is not known and was not proposed, (count,)."""
        if self.free_count is None:  # continuous numbers that are drawn do not meet again
            return np.ones(len(candidates), dtype=bool)
        return np.array([self._is_free(self.space.from_unit(each)) for each in candidates])

    def _belief(self, candidates: Array, points: int) -> Array:
        """Return what the first guess adds to the logarithms of the expected improvement, (count,)."""
        if self._guess is None:
            return np.zeros(len(candidates))
        squares = ((candidates - self._guess) ** 2).sum(axis=1) / (2 * GUESS_SPREAD**2)
        belief: Array = -GUESS_TRIALS / points * squares
        return belief

    def _model_of(self, observed: Observations) -> NoisyProcess:
        """Fit the model; a proposal uses the one that has just estimated the gain."""
        if self._fitted is None or not self._fitted[0].equal(observed):
            self._fitted = observed, fit_process(observed, noise=self._noise, prior=self._prior)
        return self._fitted[1]

    @cached_property
    def _prior(self) -> NoisyProcess | None:
        return fit_process(self._related, noise=self._noise) if self._related else None

    def _around(self, points: Array, distance: float, count: int, random: np.random.Generator) -> Array:
        steps = random.normal(scale=distance, size=(len(points), count, self.space.dimensions))
        return (points[:, np.newaxis] + steps).clip(0.0, 1.0).reshape(-1, self.space.dimensions)
