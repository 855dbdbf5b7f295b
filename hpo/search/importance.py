"""Importance of each hyperparameter of a space for the score."""

import math
from collections.abc import Iterable

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from hpo.search.optuna_study import distribution, quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import Parameter, Value
from hpo.space.space import Parameters, Space

LEAST_TRIALS = 8
"""Minimum number of scores. With fewer, the shares are noise."""
_UNIT_INTERVAL = FloatDistribution(0.0, 1.0)


def importance(space: Space, scored: Iterable[ScoredPoint], *, seed: int) -> dict[str, float]:
    """Estimate the share of each parameter in the variance of the score over the space.

    Method: fANOVA. A random forest learns the score over the unit cube, on which logarithmic parameters have
    their logarithmic scale. The result compares the variances that are due to each parameter alone;
    interactions are not counted. A choice of texts is a parameter without an order. A parameter without a
    value has the middle one. A searcher's points concentrate where scores are high, so the shares
    describe that region better than the rest.

    Args:
        space: The space that was searched.
        scored: Finished trials, each inside ``space``; scores that are not finite are ignored.
        seed: Seed of the random forest; the same seed gives the same shares.

    Returns:
        Name -> share, most important first; the shares sum to 1. Empty if the shares cannot be estimated:
        fewer than ``LEAST_TRIALS`` finite scores, equal scores, or all trials at one point. Fixed
        parameters have no share.
    """
    finite = [point for point in scored if math.isfinite(point.score)]
    if len(finite) < LEAST_TRIALS or len({point.score for point in finite}) == 1:
        return {}
    axes = {parameter.name: _axis(parameter) for parameter in space.searched}
    if not axes:
        return {}
    with quiet_study() as study:
        for point in finite:
            place = {entry.name: _place(entry, point.parameters) for entry in space.searched}
            study.add_trial(create_trial(params=place, distributions=axes, value=point.score))
        try:
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed % 2**32))
        except RuntimeError:  # no tree found a difference, as when all trials share one point
            return {}


def _axis(parameter: Parameter) -> BaseDistribution:
    return distribution(parameter) if parameter.axes > 1 else _UNIT_INTERVAL


def _place(parameter: Parameter, parameters: Parameters) -> Value:
    """Position of a point on the axis of a parameter; a text stands for itself."""
    if parameter.name not in parameters:
        return parameter.from_axes([0.5] * parameter.axes) if parameter.axes > 1 else 0.5
    value = parameters[parameter.name]
    return value if parameter.axes > 1 else parameter.to_unit(value)
