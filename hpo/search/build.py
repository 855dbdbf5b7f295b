"""Construction of searchers by name."""

from collections.abc import Iterable
from typing import get_args

from hpo.config.stages import SearcherName
from hpo.search.searcher import NOISE, ScoredPoint, Searcher
from hpo.space.space import Parameters, Space
from model.errors import ConfigError


def build_searcher(
    name: str,
    space: Space,
    *,
    seed: int,
    first: Iterable[Parameters] = (),
    guess: Parameters | None = None,
    noise: float = NOISE,
    known: Iterable[ScoredPoint] = (),
) -> Searcher:
    """Build the searcher that a study file calls ``name``.

    ``known`` gives a warm start: every searcher except ``random`` learns from these points as if it had
    proposed them, and they count towards the points before its model decides. No searcher proposes them
    again. They are not trials of the searcher: they do not change the number of a proposal. Related points
    are only a prior of the scores, for ``botorch``; the others ignore them.

    Args:
        name: One of ``SearcherName``.
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other, each inside ``space``.
        guess: Point near which ``botorch`` expects the best one; the others ignore it.
        noise: Standard deviation of the score over seeds, in units of the score.
        known: Scores of trials of another study; a score that is not finite counts as a failure. The caller
            must make sure that their space is this one (equal ``Space.digest``) and that their metric and,
            unless a point is related, their data, settings and code are the same. To rebuild a searcher,
            pass the same points in the same order, otherwise it proposes other points.

    Raises:
        ConfigError: ``name`` is unknown, or a first or known point lies outside the space.
    """
    match name:  # these imports take 0.5 s or more, which random search does not need
        case "random":
            from hpo.search.random_search import RandomSearcher

            return RandomSearcher(space, seed=seed, first=first, known=known)
        case "bayes-opt":
            from hpo.search.bayesian import BayesOptSearcher

            return BayesOptSearcher(space, seed=seed, first=first, known=known, noise=noise)
        case "botorch":
            from hpo.search.botorch_searcher import BoTorchSearcher

            return BoTorchSearcher(space, seed=seed, first=first, known=known, guess=guess, noise=noise)
        case "optuna-gp" | "optuna-tpe":
            from hpo.search.optuna_samplers import OptunaSearcher, gp_sampler, tpe_sampler

            sampler = gp_sampler if name == "optuna-gp" else tpe_sampler
            return OptunaSearcher(space, seed=seed, first=first, known=known, sampler=sampler)
    raise ConfigError(f"unknown searcher {name!r}", known=", ".join(get_args(SearcherName)))
