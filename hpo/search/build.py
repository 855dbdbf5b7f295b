"""Searchers by name."""

from collections.abc import Iterable
from typing import get_args

from hpo.config.stages import SearcherName
from hpo.search.searcher import ScoredPoint, Searcher
from hpo.space.space import Parameters, Space
from model.errors import ConfigError


def build_searcher(
    name: str,
    space: Space,
    *,
    seed: int,
    first: Iterable[Parameters] = (),
    noise: float = 0.03,
    known: Iterable[ScoredPoint] = (),
) -> Searcher:
    """The searcher that a study file calls ``name``.

    A warm start: every searcher but ``random`` learns from ``known`` as if it had asked for these points
    itself, and they count towards the points that it tries before its model decides. They are no trials of
    its own: they are not counted and not numbered, first points are asked all the same, and a known point may
    be asked again.

    Args:
        name: One of ``SearcherName``.
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other, each inside ``space``.
        noise: Standard deviation of the score over seeds, in units of the score: Average-mAP spreads by 0.03
            to 0.04 at 10,000 chunks.
        known: Scores of trials of another study, one that is not finite counting as a failure. Their space
            must be this one (equal ``Space.digest``), and their budget, data and metric the same, or the
            scores mislead; nothing here can check that. Who rebuilds a searcher gives the same ones in the
            same order, or it goes on with other points.

    Raises:
        ConfigError: No searcher has that name, or a first or known point lies outside of the space.
    """
    match name:  # imports of half a second and more, which random search need not pay
        case "random":
            from hpo.search.random_search import RandomSearcher

            return RandomSearcher(space, seed=seed, first=first, known=known)
        case "bayes-opt":
            from hpo.search.bayesian import BayesOptSearcher

            return BayesOptSearcher(space, seed=seed, first=first, known=known, noise=noise)
        case "optuna-gp" | "optuna-tpe":
            from hpo.search.optuna_samplers import OptunaSearcher, gp_sampler, tpe_sampler

            sampler = gp_sampler if name == "optuna-gp" else tpe_sampler
            return OptunaSearcher(space, seed=seed, first=first, known=known, sampler=sampler)
    raise ConfigError(f"no searcher is named {name!r}", known=", ".join(get_args(SearcherName)))
