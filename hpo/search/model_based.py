"""What searchers with a model have in common: an even design first, then the model."""

from abc import abstractmethod

import numpy as np

from hpo.search.design import quasi_random_points
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters

POINTS_SEEN = 200
"""A fit costs the cube of its points: 200 take about 2 seconds, during which no trial can start."""


class ModelSearcher(Searcher):
    """Asks a model where a better score is likely, once there is something to learn from.

    The model is built anew for every proposal, so the table of trials is all the state there is.
    """

    initial_points: int
    """Points, known ones among them, that are tried besides the first ones before the model decides."""

    @abstractmethod
    def suggest(self, number: int) -> Parameters:
        """The model's wish for the ``number``-th point; two scores or more are known."""

    def propose(self, number: int) -> Parameters:
        """Points of a quasi-random design first, then those of the model."""
        scored = sum(trial.score is not None for trial in self.observed)
        if len(self.observed) < self.first_count + self.initial_points or scored < 2:
            point = quasi_random_points(self.space.dimensions, seed=self.seed, count=number + 1)[number]
            return self.space.from_unit(point)
        return self.suggest(number)

    def seed_of(self, number: int) -> int:
        """A seed for what is drawn at random in the ``number``-th proposal."""
        return int(np.random.default_rng([self.seed, number]).integers(2**32))
