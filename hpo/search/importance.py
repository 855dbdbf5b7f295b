"""Importance of each hyperparameter of a space for the score."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import Parameter
from hpo.space.space import Parameters, Space

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree  # type: ignore[import-untyped]  # has neither types nor stubs

LEAST_TRIALS = 8
"""Minimum number of scores. With fewer, the shares are noise."""
MOST_TRIALS = 1000
"""Maximum number of scores that are used, which bounds the time. Of more, a random sample is drawn."""
_TREES, _DEEPEST = 64, 64

Array = npt.NDArray[np.float64]


def importance(space: Space, scored: Iterable[ScoredPoint], *, seed: int) -> dict[str, float]:
    """Estimate the share of each parameter in the variance of the score that single parameters explain.

    Method: fANOVA (Hutter et al., 2014). A random forest learns the score over the unit cube, on which
    logarithmic parameters have their logarithmic scale. The result compares the variances over the space that
    are due to each parameter alone; interactions are not counted, however large they are. A choice of texts
    is a parameter without an order; a parameter without a value has the middle one. A searcher's points
    concentrate where scores are high, so the shares describe that region better than the rest.

    Args:
        space: The space that was searched.
        scored: Finished trials, each inside ``space``; scores that are not finite are ignored.
        seed: Seed of the random forest and of the sample; the same seed gives the same shares.

    Returns:
        Name -> share, most important first; the shares sum to 1. Empty if the shares cannot be estimated:
        fewer than ``LEAST_TRIALS`` finite scores, equal scores, or all trials at one point. Fixed
        parameters have no share.
    """
    finite = [point for point in scored if math.isfinite(point.score)]
    if len(finite) < LEAST_TRIALS or len({point.score for point in finite}) == 1:
        return {}
    sampled = _sample(finite, seed)
    groups, places = _groups(space), _places(space, sampled)
    trees = _forest(places, np.array([point.score for point in sampled]), seed) if groups else []
    shares = _mean_shares(trees, groups)
    if shares is None:
        return {}
    names = [entry.name for entry in space.searched]
    return dict(sorted(zip(names, shares.tolist(), strict=True), key=lambda pair: -pair[1]))


def _groups(space: Space) -> list[slice]:
    """Return the columns of each parameter: one, or one per text that it may have."""
    ends = np.cumsum([entry.axes for entry in space.searched]).tolist()
    return [slice(end - entry.axes, end) for entry, end in zip(space.searched, ends, strict=True)]


def _places(space: Space, points: Sequence[ScoredPoint]) -> Array:
    """Return the coordinates of points, (points, columns); a value that a point lacks lies in the middle."""
    return np.array(
        [
            [number for entry in space.searched for number in _place(entry, point.parameters)]
            for point in points
        ]
    )


def _place(parameter: Parameter, parameters: Parameters) -> Sequence[float]:
    if parameter.name in parameters:
        return parameter.on_axes(parameters[parameter.name])
    return [0.5] if parameter.axes == 1 else [0.0] * parameter.axes


def sample_note(scores: int) -> str:
    """Say on how many of the ``scores`` an importance is based; empty if on all of them."""
    return (
        f"from {MOST_TRIALS:,} of {scores:,} configurations, drawn at random" if scores > MOST_TRIALS else ""
    )


def _sample(points: list[ScoredPoint], seed: int) -> list[ScoredPoint]:
    if len(points) <= MOST_TRIALS:
        return points
    drawn = np.random.default_rng(seed).choice(len(points), MOST_TRIALS, replace=False)
    return [points[index] for index in sorted(drawn.tolist())]


def _forest(places: Array, scores: Array, seed: int) -> "list[Tree]":
    # Takes a second to import.
    from sklearn.ensemble import (  # type: ignore[import-untyped]  # has neither types nor stubs
        RandomForestRegressor,
    )

    forest = RandomForestRegressor(n_estimators=_TREES, max_depth=_DEEPEST, random_state=seed % 2**32)
    forest.fit(places, scores)
    return [estimator.tree_ for estimator in forest.estimators_]


def _mean_shares(trees: "Iterable[Tree]", groups: Sequence[slice]) -> Array | None:
    """Average the shares of each parameter over all trees that found a difference; None if no tree did."""
    shares = [found for tree in trees if (found := _shares(tree, groups)) is not None]
    mean = np.mean(shares, axis=0) if shares else np.zeros(1)
    return mean / mean.sum() if mean.sum() > 0 else None


def _shares(tree: "Tree", groups: Sequence[slice]) -> Array | None:
    """Return the share of each parameter alone in the variance of a tree over the space."""
    low, high = _leaves(tree)
    sides = [_Side(low[:, columns], high[:, columns]) for columns in groups]
    volumes = np.prod([side.lengths for side in sides], axis=0)
    reached = volumes > 0  # some boxes hold no point: no text, or two at once
    values = tree.value[tree.feature < 0].reshape(-1)[reached]
    variance = _variance(values, volumes[reached])
    if variance <= 0:
        return None
    alone = [side.marginal_variance(values, volumes[reached], reached) for side in sides]
    return np.array(alone) / variance


class _Side:
    """Extent of the leaves along one parameter, from their corners, both (leaves, columns)."""

    def __init__(self, low: Array, high: Array) -> None:
        self._low, self._high, texts = low[:, 0], high[:, 0], low.shape[1]
        self._inside: npt.NDArray[np.bool_] | None = None
        self.lengths = self._high - self._low
        if texts > 1:
            # A text has 1 in its own column and 0 in the others.
            absent = low <= 0
            self._inside = (high >= 1) & (absent.sum(axis=1, keepdims=True) - absent == texts - 1)
            self.lengths = self._inside.mean(axis=1)

    def marginal_variance(self, values: Array, volumes: Array, leaves: npt.NDArray[np.bool_]) -> float:
        """Return the variance along this parameter of the mean over all others, of some leaves."""
        section = values * volumes / self.lengths[leaves]
        if self._inside is not None:
            means = section @ self._inside[leaves]
            return _variance(means, np.ones(len(means)))
        return _step_variance(section, self._low[leaves], self._high[leaves])


def _leaves(tree: "Tree") -> tuple[Array, Array]:
    """Return the lower and upper corners of the box of each leaf, both (leaves, parameters)."""
    low = np.zeros((tree.node_count, tree.n_features))
    high = np.ones_like(low)
    level = np.array([0])
    while (level := level[tree.feature[level] >= 0]).size:
        axis, left, right = tree.feature[level], tree.children_left[level], tree.children_right[level]
        for child in (left, right):
            low[child], high[child] = low[level], high[level]
        high[left, axis] = low[right, axis] = tree.threshold[level]
        level = np.concatenate([left, right])
    return low[tree.feature < 0], high[tree.feature < 0]


def _step_variance(section: Array, low: Array, high: Array) -> float:
    """Return the variance along one axis of the mean over all others.

    That mean changes only where a leaf begins or ends: each leaf adds its value times its cross-section
    between both.
    """
    places = np.unique(np.concatenate([low, high]))
    steps = np.zeros(len(places))
    np.add.at(steps, np.searchsorted(places, low), section)
    np.add.at(steps, np.searchsorted(places, high), -section)
    return _variance(np.cumsum(steps)[:-1], np.diff(places))


def _variance(values: Array, weights: Array) -> float:
    mean = np.average(values, weights=weights)
    return float(np.average((values - mean) ** 2, weights=weights))
