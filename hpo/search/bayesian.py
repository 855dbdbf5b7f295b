"""Bayesian optimisation: a Gaussian process over the unit cube says where a better score is likely."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from bayes_opt import BayesianOptimization
from bayes_opt.acquisition import UpperConfidenceBound
from sklearn.gaussian_process.kernels import Matern  # type: ignore[import-untyped]  # has no types
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.search.design import quasi_random_points
from hpo.search.observations import Point, running_points, settled_scores
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters, Space, UnitPoint

# Chosen by mean regret (score at the top less true score of the best-looking point) over 10 seeds on two
# functions of the five hyperparameters of calf.toml with noise 0.03: a slice of Hartmann-6 scaled to 0..0.6 /
# a hill of height 0.45.
#
#                             after 15 trials   after 30 trials
#   random search              0.322 / 0.097     0.287 / 0.077
#   as set here                0.224 / 0.069     0.078 / 0.020
#   expected improvement       0.279 / 0.105     0.100 / 0.047
#   kappa 1.5                  0.316 / 0.094     0.060 / 0.055
#   kappa 1.0                  0.360 / 0.091     0.175 / 0.043
#   3 initial points           0.220 / 0.059     0.104 / 0.028
#   8 initial points           0.324 / 0.072     0.128 / 0.034
#   alpha 1e-6 (no noise)      0.276 / 0.080     0.138 / 0.051
#   alpha fitted to scores     0.233 / 0.064     0.129 / 0.023
#   length scales 1e-5..1e5    0.266 / 0.091     0.104 / 0.032
#   a length scale an axis     0.414 / 0.117     0.235 / 0.094
#   whole numbers rounded      0.226 / 0.073     0.097 / 0.035
#     inside the kernel
#
# and four trials at a time, those that still run taking part
#   as the model predicts      0.294 / 0.093     0.120 / 0.048
#   with the mean score        0.379 / 0.097     0.148 / 0.061
#   with the worst score       0.385 / 0.113     0.189 / 0.045
#
# The rows were compared on the seeds they were chosen by. On fresh seeds (12 / 10), difference to "as set
# here" with its standard error:
#   random search              +0.23 +- 0.05 / +0.03 +- 0.02     +0.20 +- 0.04 / +0.05 +- 0.01
#   expected improvement       +0.01 +- 0.04 / +0.01 +- 0.02     -0.01 +- 0.02 / -0.00 +- 0.01
#   3 initial points           +0.01 +- 0.05 / -0.02 +- 0.01     -0.02 +- 0.04 / -0.01 +- 0.01
# So the gain over random search is real, and neither the acquisition nor 3 or 5 initial points decides.
INITIAL_POINTS = 5
KAPPA = 2.576
LENGTH_SCALES = (0.05, 10.0)
"""Shortest and longest distance on the unit cube over which the model believes scores to be alike."""
ALPHA_RANGE = (1e-6, 1.0)
"""Least and most noise that the model assumes, as a share of the variance of the scores."""
POINTS_SEEN = 200
"""A fit costs the cube of its points: 200 take about 2 seconds, during which no trial can start."""
_DECIMALS = 6
"""Digits of a suggestion that are kept, on the unit cube: the rest is rounding noise of the optimiser."""


class BayesOptSearcher(Searcher):
    """Asks the package ``bayesian-optimization`` where to look next.

    Its model is built anew for every proposal, so the table of trials is all the state there is.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other.
        noise: Standard deviation of the score over seeds, in units of the score.
    """

    def __init__(
        self, space: Space, *, seed: int, first: Iterable[Parameters] = (), noise: float = 0.03
    ) -> None:
        super().__init__(space, seed=seed, first=first)
        self._noise = noise

    def propose(self, number: int) -> Parameters:
        """Quasi-random points first, then the one with the highest upper confidence bound."""
        scored = sum(trial.score is not None for trial in self.trials.values())
        if number < self.first_count + INITIAL_POINTS or scored < 2:
            point = quasi_random_points(self.space.dimensions, seed=self.seed, count=number + 1)[number]
        else:
            point = self._suggest(number)
        return self.space.from_unit(point)

    def _suggest(self, number: int) -> UnitPoint:
        trials = list(self.trials.values())
        scores = settled_scores(trials, limit=POINTS_SEEN)
        axes = [f"axis {axis}" for axis in range(self.space.dimensions)]
        optimizer = self._new_optimizer(axes, number, alpha=self._alpha(list(scores.values())))
        # One thread: the same bits whatever the number of cores, and the cores belong to the trials.
        with threadpool_limits(limits=1, user_api="blas"):
            _register(optimizer, axes, scores)
            if running := running_points(trials):
                # A score as predicted moves no expectation, it only says that less can be learnt there.
                predicted = optimizer.predict([dict(zip(axes, point, strict=True)) for point in running])
                _register(optimizer, axes, dict(zip(running, predicted.tolist(), strict=True)))
            suggestion = optimizer.suggest()
        return np.array([suggestion[axis] for axis in axes]).round(_DECIMALS)

    def _new_optimizer(self, axes: Sequence[str], number: int, *, alpha: float) -> BayesianOptimization:
        optimizer = BayesianOptimization(
            f=None,
            pbounds=dict.fromkeys(axes, (0.0, 1.0)),
            acquisition_function=UpperConfidenceBound(kappa=KAPPA),
            random_state=int(np.random.default_rng([self.seed, number]).integers(2**32)),
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
