"""Two trained networks on the same items of a split."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDifference:
    """Scores of two networks on the same items, and how their difference varies with the items."""

    items: int
    """Games, videos or whatever the split consists of."""
    draws: int
    """How often the items were drawn anew, with replacement."""
    scores: tuple[float, float]
    low: float
    high: float
    """Bounds of the middle 95 % of the differences over the draws."""

    @property
    def difference(self) -> float:
        """First score minus second, on every item once."""
        return self.scores[0] - self.scores[1]
