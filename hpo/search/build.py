"""Searchers by name."""

from collections.abc import Iterable
from typing import get_args

from hpo.config.stages import SearcherName
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters, Space
from model.errors import ConfigError


def build_searcher(
    name: str, space: Space, *, seed: int, first: Iterable[Parameters] = (), noise: float = 0.03
) -> Searcher:
    """The searcher that a study file calls ``name``.

    Args:
        name: One of ``SearcherName``.
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other, each inside ``space``.
        noise: Standard deviation of the score over seeds, in units of the score: Average-mAP spreads by 0.03
            to 0.04 at 10,000 chunks.

    Raises:
        ConfigError: No searcher has that name, or a first point lies outside of the space.
    """
    match name:
        case "random":
            from hpo.search.random_search import RandomSearcher

            return RandomSearcher(space, seed=seed, first=first)
        case "bayes-opt":
            from hpo.search.bayesian import BayesOptSearcher  # half a second that random search need not pay

            return BayesOptSearcher(space, seed=seed, first=first, noise=noise)
    raise ConfigError(f"no searcher is named {name!r}", known=", ".join(get_args(SearcherName)))
