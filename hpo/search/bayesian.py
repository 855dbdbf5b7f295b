"""Bayesian optimisation with a Gaussian process over the unit cube."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from bayes_opt import BayesianOptimization
from bayes_opt.acquisition import UpperConfidenceBound
from bayes_opt.parameter import wrap_kernel
from sklearn.gaussian_process import GaussianProcessRegressor  # type: ignore[import-untyped]  # has no types
from sklearn.gaussian_process.kernels import Matern  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.search.gain import SAMPLES, TRIALS, expected_gain
from hpo.search.model_based import POINTS_SEEN, ModelSearcher
from hpo.search.observations import LEAST_SPREAD, Point, running_points, scores_by_point, unit_of
from hpo.search.searcher import NOISE, Gain, ScoredPoint
from hpo.search.surrogate import LEAST_ALPHA, Surrogate, fit_surrogate
from hpo.space.space import Parameters, Space, UnitPoint

# These values were chosen by regret on functions of the five hyperparameters of calf.toml with noise 0.03.
# See benchmarks/RESULTS.md, "Searchers", for the alternatives and for the uncertainty of the differences.
INITIAL_POINTS = 5
KAPPAS = (2.576, 10.0, 40.0)
"""Exploration weights of the upper confidence bound. A larger one is used when the proposal of the one before
is too close to a running trial."""
MIN_DISTANCE = 0.01
"""Minimum distance on the unit cube between trials that run at the same time."""
ALPHA_RANGE = (LEAST_ALPHA, 1.0)
"""Minimum and maximum variance of the assumed noise, as a share of the variance of the scores."""
_DECIMALS = 6
"""Decimals of a suggestion on the unit cube that are kept; the rest is rounding noise of the optimiser."""


class BayesOptSearcher(ModelSearcher):
    """Searcher that uses the package ``bayesian-optimization``.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other.
        known: Scores of earlier trials of the same space.
        noise: Standard deviation of the score over seeds, in units of the score. The model assumes this
            noise, or less where the scores clearly support less.
    """

    initial_points = INITIAL_POINTS

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        first: Iterable[Parameters] = (),
        known: Iterable[ScoredPoint] = (),
        noise: float = NOISE,
    ) -> None:
        super().__init__(space, seed=seed, first=first, known=known)
        self._noise = noise
        self._fitted: tuple[Mapping[Point, float], Surrogate] | None = None
        self._axes = [f"axis {axis}" for axis in range(space.dimensions)]

    def suggest(self, number: int) -> Parameters:
        """Return the point with the highest upper confidence bound."""
        scores = self._scores()
        # One thread: the same bits whatever the number of cores, and the cores belong to the trials.
        with threadpool_limits(limits=1, user_api="blas"):
            model = self._model_of(scores)
            optimizer = self._new_optimizer(number)
            optimizer.set_gp_params(kernel=self._kernel(model), alpha=model.alpha)
            self._register(optimizer, scores)
            if running := running_points(self.observed):
                # A score as predicted moves no expectation, it only says that less can be learnt there.
                predicted = optimizer.predict(
                    [dict(zip(self._axes, point, strict=True)) for point in running]
                )
                self._register(optimizer, dict(zip(running, predicted.tolist(), strict=True)))
            return self.space.from_unit(self._apart_from(running, optimizer))

    def expected_gain(self) -> Gain | None:
        """Estimate what further trials bring, with the model that proposes the next one."""
        if not self.has_model:
            return None
        scores = self._scores()
        values = np.array(list(scores.values()))
        unit = self._unit(values)
        with threadpool_limits(limits=1, user_api="blas"):
            model = self._model_of(scores)
            process = GaussianProcessRegressor(
                self._kernel(model), alpha=model.alpha, optimizer=None, normalize_y=True
            )
            points, seed = np.array(list(scores)), self.seed_of(len(self.trials))
            process.fit(points, values)
            scale = 1.0 if values.any() else unit  # the process standardises all but equal scores
            expected = expected_gain(
                lambda candidates: scale * process.sample_y(candidates, n_samples=SAMPLES, random_state=seed),
                points[np.argmax(process.predict(points))],
                space=self.space,
                seed=seed,
            )
        return Gain(expected=expected, trials=TRIALS, noise=math.sqrt(model.alpha) * unit)

    def _scores(self) -> dict[Point, float]:
        """Return the score of each point; zeros if they are equal, as their rounding is no shape to fit."""
        scores = scores_by_point(self.observed, limit=POINTS_SEEN)
        are_equal = np.std(list(scores.values())) < LEAST_SPREAD
        return dict.fromkeys(scores, 0.0) if are_equal else scores

    def _model_of(self, scores: Mapping[Point, float]) -> Surrogate:
        """Fit the model; a proposal uses the one that has just estimated the gain."""
        if self._fitted is None or self._fitted[0] != scores:
            values = np.array(list(scores.values()))
            fitted = fit_surrogate(np.array(list(scores)), values, alpha=self._alpha(values))
            self._fitted = dict(scores), fitted
        return self._fitted[1]

    def _apart_from(self, running: Sequence[Point], optimizer: BayesianOptimization) -> UnitPoint:
        # A model that is sure of the top sends every trial there; those beside a running one look further.
        for kappa in KAPPAS:
            optimizer.acquisition_function.kappa = kappa
            suggestion = optimizer.suggest()
            point: UnitPoint = np.array([suggestion[axis] for axis in self._axes]).round(_DECIMALS)
            point = self.space.as_tried(point[np.newaxis])[0]
            if all(np.linalg.norm(point - other) >= MIN_DISTANCE for other in running):
                break
        return point

    def _kernel(self, model: Surrogate) -> Matern:
        # A trial is never between two texts: the model sees each point where its trial would be.
        # Garrido-Merchan & Hernandez-Lobato, arXiv:1805.03463.
        return model.kernel if self.space.is_plain else wrap_kernel(model.kernel, self.space.as_tried)

    def _new_optimizer(self, number: int) -> BayesianOptimization:
        return BayesianOptimization(
            f=None,
            pbounds=dict.fromkeys(self._axes, (0.0, 1.0)),
            acquisition_function=UpperConfidenceBound(kappa=KAPPAS[0]),
            random_state=self.seed_of(number),
            verbose=0,
        )

    def _alpha(self, scores: npt.NDArray[np.float64]) -> float:
        # The model scales scores to a standard deviation of 1, and the noise has to follow.
        return float(np.clip((self._noise / self._unit(scores)) ** 2, *ALPHA_RANGE))

    def _unit(self, scores: npt.NDArray[np.float64]) -> float:
        return unit_of(float(np.std(scores)), noise=self._noise)

    def _register(self, optimizer: BayesianOptimization, scores: Mapping[Point, float]) -> None:
        for point, score in scores.items():
            optimizer.register(dict(zip(self._axes, point, strict=True)), score)
