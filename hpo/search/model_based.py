"""Base class of searchers that fit a model: a quasi-random design first, then the model's proposals."""

from abc import abstractmethod

import numpy as np

from hpo.search.design import quasi_random_points
from hpo.search.searcher import Searcher
from hpo.space.space import Parameters

POINTS_SEEN = 200
"""Maximum number of trainings that a model is fitted to. A fit takes time cubic in its scores, during which
no trial can start."""


class ModelSearcher(Searcher):
    """Searcher that proposes points by a model, after an initial quasi-random design.

    The model is rebuilt for every proposal, so the table of trials is the only state.
    """

    initial_points: int
    """Number of points, in addition to ``first``, before the model proposes. Known points count."""

    @abstractmethod
    def suggest(self, number: int) -> Parameters:
        """Return the model's proposal for the ``number``-th point. At least two scores are known."""

    @property
    def has_model(self) -> bool:
        """Whether there are enough trials for the model to propose the next one."""
        scored = sum(trial.score is not None for trial in self.observed)
        return len(self.observed) >= self.first_count + self.initial_points and scored >= 2

    def propose(self, number: int) -> Parameters:
        """Propose a point of the quasi-random design first, later a point of the model."""
        if not self.has_model:
            point = quasi_random_points(self.space.dimensions, seed=self.seed, count=number + 1)[number]
            return self.space.from_unit(point)
        return self.suggest(number)

    def seed_of(self, number: int) -> int:
        """Return the seed of the random draws in the ``number``-th proposal."""
        return int(np.random.default_rng([self.seed, number]).integers(2**32))
