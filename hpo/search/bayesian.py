"""Bayesian optimisation: a Gaussian process over the unit cube says where a better score is likely."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from bayes_opt import BayesianOptimization
from bayes_opt.acquisition import UpperConfidenceBound
from sklearn.gaussian_process.kernels import Matern  # type: ignore[import-untyped]  # has no types
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.search.model_based import POINTS_SEEN, ModelSearcher
from hpo.search.observations import Point, running_points, settled_scores
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters, Space, UnitPoint

# Chosen by regret on functions of the five hyperparameters of calf.toml with noise 0.03: what else was tried,
# and how far the differences can be trusted, is in benchmarks/RESULTS.md, "Searchers".
INITIAL_POINTS = 5
KAPPA = 2.576
LENGTH_SCALES = (0.05, 10.0)
"""Shortest and longest distance on the unit cube over which the model believes scores to be alike."""
ALPHA_RANGE = (1e-6, 1.0)
"""Least and most noise that the model assumes, as a share of the variance of the scores."""
_DECIMALS = 6
"""Digits of a suggestion that are kept, on the unit cube: the rest is rounding noise of the optimiser."""


class BayesOptSearcher(ModelSearcher):
    """Asks the package ``bayesian-optimization`` where to look next.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other.
        known: Scores of earlier trials of the same space.
        noise: Standard deviation of the score over seeds, in units of the score.
    """

    initial_points = INITIAL_POINTS

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        first: Iterable[Parameters] = (),
        known: Iterable[ScoredPoint] = (),
        noise: float = 0.03,
    ) -> None:
        super().__init__(space, seed=seed, first=first, known=known)
        self._noise = noise

    def suggest(self, number: int) -> Parameters:
        """The point with the highest upper confidence bound."""
        scores = settled_scores(self.observed, limit=POINTS_SEEN)
        axes = [f"axis {axis}" for axis in range(self.space.dimensions)]
        optimizer = self._new_optimizer(axes, number, alpha=self._alpha(list(scores.values())))
        # One thread: the same bits whatever the number of cores, and the cores belong to the trials.
        with threadpool_limits(limits=1, user_api="blas"):
            _register(optimizer, axes, scores)
            if running := running_points(self.observed):
                # A score as predicted moves no expectation, it only says that less can be learnt there.
                predicted = optimizer.predict([dict(zip(axes, point, strict=True)) for point in running])
                _register(optimizer, axes, dict(zip(running, predicted.tolist(), strict=True)))
            suggestion = optimizer.suggest()
        point: UnitPoint = np.array([suggestion[axis] for axis in axes]).round(_DECIMALS)
        return self.space.from_unit(point)

    def _new_optimizer(self, axes: Sequence[str], number: int, *, alpha: float) -> BayesianOptimization:
        optimizer = BayesianOptimization(
            f=None,
            pbounds=dict.fromkeys(axes, (0.0, 1.0)),
            acquisition_function=UpperConfidenceBound(kappa=KAPPA),
            random_state=self.seed_of(number),
            verbose=0,
        )
        optimizer.set_gp_params(kernel=Matern(nu=2.5, length_scale_bounds=LENGTH_SCALES), alpha=alpha)
        return optimizer

    def _alpha(self, scores: list[float]) -> float:
        # The model scales scores to a standard deviation of 1, and the noise has to follow.
        spread = max(float(np.std(scores)), 1e-9)
        return float(np.clip((self._noise / spread) ** 2, *ALPHA_RANGE))


def _register(optimizer: BayesianOptimization, axes: Sequence[str], scores: Mapping[Point, float]) -> None:
    for point, score in scores.items():
        optimizer.register(dict(zip(axes, point, strict=True)), score)
