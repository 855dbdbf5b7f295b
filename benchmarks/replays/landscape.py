"""Model of the trainings of benchmarks/trainings.csv.gz: a training at any point, in no time."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from trainings import SEEDS, SPACE

from hpo.space.space import Parameters

Array = npt.NDArray[np.float64]

COMPONENTS = 4
"""Principal components of the mean curves that are interpolated."""
LENGTHS = (0.3, 10.0)
"""Bounds of the length scales on the unit cube."""
NEIGHBOURS = 16
"""Points of the table around a point, from which a training there has its noise."""


@dataclass(frozen=True)
class Trainings:
    """The search's part of the table."""

    points: Array
    """Points on the unit cube, (points, dimensions)."""
    curves: Array
    """Average-mAP after each epoch, (points, seeds, epochs)."""

    @classmethod
    def read(cls, file: Path) -> "Trainings":
        """Read the points of the table that were trained with all seeds."""
        table = pd.read_csv(file)
        table = table[table["stage"] == "bayes"]
        names = list(SPACE.names)
        wide = table.pivot_table(index=[*names, "seed"], columns="epoch", values="average_map")
        groups = [group for _, group in wide.groupby(level=names, sort=False) if len(group) == SEEDS]
        parameters = [dict(zip(names, group.index[0][: len(names)], strict=True)) for group in groups]
        points = [SPACE.to_unit({**point, "f": int(point["f"])}) for point in parameters]
        return cls(np.array(points), np.array([group.to_numpy() for group in groups]))

    def without(self, left_out: npt.NDArray[np.bool_]) -> "Trainings":
        """Return the trainings without some points."""
        return Trainings(self.points[~left_out], self.curves[~left_out])

    @property
    def mean_curves(self) -> Array:
        """Mean curve of each point over its seeds, (points, epochs)."""
        return self.curves.mean(axis=1)

    @cached_property
    def noise(self) -> Array:
        """What a seed adds to the mean curve, (points, seeds, epochs); unbiased in spite of few seeds."""
        return (self.curves - self.mean_curves[:, None]) * np.sqrt(SEEDS / (SEEDS - 1))


PLACES = 2**40
"""Places along an axis of the unit cube whose trainings differ."""


class Landscape:
    """Trainings at any point: smooth mean curves, and the noise of recorded trainings near it.

    The noise of a training is that of one of the recorded points around it with the same seed, drawn anew for
    each training. So trainings of one seed that are close together share 0.14 of the variance of their noise;
    in the table it is 0.17 at a distance of 0.3 and 0.04 far away. Of closer ones it says nothing.
    """

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings
        self._pca = PCA(min(COMPONENTS, len(trainings.points) - 1)).fit(trainings.mean_curves)
        parts = self._pca.transform(trainings.mean_curves)
        # The noise of a mean over seeds is known from the seeds, so the processes need not guess it.
        seeds = trainings.curves - trainings.mean_curves[:, None]
        noise = (seeds @ self._pca.components_.T).var(axis=1, ddof=1).mean(axis=0) / SEEDS
        self._processes = [
            _process(trainings.points, part, variance) for part, variance in zip(parts.T, noise, strict=True)
        ]

    @property
    def epochs(self) -> int:
        """Epochs of a whole training."""
        return self._trainings.curves.shape[2]

    def curve(self, parameters: Parameters, replicate: int, luck: int) -> Array:
        """Return Average-mAP after each epoch of a training, (epochs,), with the noise of a search's luck."""
        point = SPACE.to_unit(parameters)
        place = (point * PLACES).astype(np.int64)
        neighbour = np.random.default_rng([luck, replicate, *place]).choice(self._nearest(point))
        noise = self._trainings.noise[neighbour, (luck + replicate) % SEEDS]
        return np.clip(self._mean(point) + noise, 0.0, 1.0)

    def truth(self, parameters: Parameters) -> float:
        """Return the mean score over seeds; the score of a training is its best validation."""
        point = SPACE.to_unit(parameters)
        noise = self._trainings.noise[self._nearest(point)].reshape(-1, self.epochs)
        return float(np.clip(self._mean(point) + noise, 0.0, 1.0).max(axis=1).mean())

    def _mean(self, point: Array) -> Array:
        parts = [process.predict(point[np.newaxis])[0] for process in self._processes]
        return self._pca.inverse_transform([parts])[0]

    def _nearest(self, point: Array) -> npt.NDArray[np.intp]:
        distances = np.linalg.norm(self._trainings.points - point, axis=1)
        return np.argsort(distances, kind="stable")[:NEIGHBOURS]


def _process(points: Array, values: Array, noise: float) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern(np.ones(points.shape[1]), LENGTHS, nu=2.5)
    process = GaussianProcessRegressor(
        kernel, alpha=noise / values.var(), normalize_y=True, n_restarts_optimizer=2, random_state=0
    )
    return process.fit(points, values)


def held_out(trainings: Trainings, *, folds: int = 5) -> pd.DataFrame:
    """Return recorded and predicted mean score of each point, predicted without it and its fold."""
    fold = np.arange(len(trainings.points)) % folds
    rows = []
    for number in range(folds):
        landscape = Landscape(trainings.without(fold == number))
        for place in np.flatnonzero(fold == number):
            parameters = SPACE.from_unit(trainings.points[place])
            recorded = trainings.curves[place].max(axis=1)
            rows.append(
                {
                    "recorded": recorded.mean(),
                    "deviation": recorded.std(ddof=1),
                    "predicted": landscape.truth(parameters),
                }
            )
    return pd.DataFrame(rows)
