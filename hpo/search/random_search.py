"""Random search: the baseline for every other searcher."""

import numpy as np

from hpo.search.searcher import Searcher
from hpo.space.space import Parameters


class RandomSearcher(Searcher):
    """Searcher that draws every point uniformly from the unit cube and ignores scores."""

    def propose(self, number: int) -> Parameters:
        """Return the ``number``-th random point, which does not depend on other trials."""
        return self.space.from_unit(np.random.default_rng([self.seed, number]).random(self.space.dimensions))
