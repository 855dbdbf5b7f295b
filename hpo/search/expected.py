"""Expected scores of configurations by a model of all trials, in place of single lucky ones."""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.journal.ranking import Expected
from hpo.search.model_based import POINTS_SEEN
from hpo.search.observations import observations, related_observations
from hpo.search.searcher import AskedTrial

LEAST_POINTS = 5
"""Number of points with a score, below which a model says nothing."""


def expected_scores(
    observed: Sequence[AskedTrial],
    asked: Sequence[AskedTrial],
    *,
    noise: float,
    related: Sequence[AskedTrial] = (),
) -> list[Expected]:
    """Return the expected score of each of ``asked``, averaged over seeds; empty if too little is known.

    Args:
        observed: All trials of the search and what they reached. Failed ones say nothing here.
        asked: Trials whose points are of interest.
        noise: Standard deviation of the score over seeds that is assumed before the scores show another.
        related: Trials with other data, settings or code, as a prior of the scores.
    """
    if sum(trial.score is not None for trial in observed) < LEAST_POINTS:
        return []
    # torch and BoTorch take seconds to import.
    from hpo.search.noisy_process import fit_process, noise_between_seeds, predicted

    with threadpool_limits(limits=1):  # the same bits whatever the number of cores
        known = related_observations(related)
        prior = fit_process(known, noise=noise) if known else None
        scored = [trial for trial in observed if not trial.failed]
        told = observations(scored, limit=POINTS_SEEN)
        if not told.reach_end:
            return []
        model = fit_process(told, noise=noise, prior=prior)
        means, deviations = predicted(model, np.array([trial.point for trial in asked]))
        learnt = noise_between_seeds(model)
    return [Expected(*pair, learnt) for pair in zip(means.tolist(), deviations.tolist(), strict=True)]
