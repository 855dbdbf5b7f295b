"""A hill for searchers to climb."""

from hpo.search.searcher import Searcher
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space

SQUARE = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])


def climb(searcher: Searcher, trials: int) -> None:
    """Ask and tell ``trials`` points of a hill over ``SQUARE`` whose top is at (0.3, 0.6)."""
    for _ in range(trials):
        name = f"t{len(searcher.trials)}"
        point = searcher.ask(name)
        assert point is not None
        searcher.tell(name, 1 - (float(point["x"]) - 0.3) ** 2 - (float(point["y"]) - 0.6) ** 2)
