"""How much each hyperparameter of a space matters to the score."""

import math
from collections.abc import Iterable

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from hpo.search.optuna_study import quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space

LEAST_TRIALS = 8
"""With fewer scores the shares are noise."""
_AXIS = FloatDistribution(0.0, 1.0)


def importance(space: Space, scored: Iterable[ScoredPoint], *, seed: int) -> dict[str, float]:
    """The share of each parameter in the variance of the score over the whole space, most important first.

    fANOVA: a random forest learns the score over the unit cube, where a logarithmic parameter lies as it is
    searched, and the variance due to each parameter alone is compared (what only two together do counts for
    none). Points of a searcher gather where scores are high, so the shares describe that region better than
    the rest.

    Args:
        space: What was searched.
        scored: Finished trials, each inside ``space``; scores that are not finite are left out.
        seed: Of the forest; the same seed gives the same shares.

    Returns:
        By name, summing to 1. Empty where nothing can be said: fewer than ``LEAST_TRIALS`` finite scores, all
        of them equal, or all trials at one point.
    """
    finite = [point for point in scored if math.isfinite(point.score)]
    if len(finite) < LEAST_TRIALS or len({point.score for point in finite}) == 1:
        return {}
    axes: dict[str, BaseDistribution] = dict.fromkeys(space.names, _AXIS)
    with quiet_study() as study:
        for point in finite:
            place = dict(zip(space.names, space.to_unit(point.parameters).tolist(), strict=True))
            study.add_trial(create_trial(params=place, distributions=axes, value=point.score))
        try:
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed % 2**32))
        except RuntimeError:  # no tree found a difference, as when all trials share one point
            return {}
