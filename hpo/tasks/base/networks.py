"""Comparison of two trained networks on the same items of a split."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDifference:
    """Scores of two networks on the same items, with a confidence interval of their difference."""

    items: int
    """Number of items, such as games or videos."""
    draws: int
    """Number of bootstrap draws of the items, with replacement."""
    scores: tuple[float, float]
    """Scores of both networks on all items."""
    low: float
    """Lower bound of the 95 % bootstrap interval of the difference."""
    high: float
    """Upper bound of the 95 % bootstrap interval of the difference."""

    @property
    def difference(self) -> float:
        """First score minus second score, on all items."""
        return self.scores[0] - self.scores[1]
