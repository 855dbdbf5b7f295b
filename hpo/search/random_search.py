"""Random search: the yardstick for every other searcher."""

import numpy as np

from hpo.search.searcher import Searcher
from hpo.space.space import Parameters


class RandomSearcher(Searcher):
    """Draws every point evenly over the unit cube; learns nothing."""

    def propose(self, number: int) -> Parameters:
        """The ``number``-th point, whatever the others did."""
        return self.space.from_unit(np.random.default_rng([self.seed, number]).random(self.space.dimensions))
