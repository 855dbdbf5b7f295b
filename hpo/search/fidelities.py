"""Fidelities at which trials are compared: early epochs, where all have a score, and the end of training."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Curve = Mapping[int, float]
"""Finished epochs -> score of each validation."""

MOST_EARLY = 2
"""Maximum number of early fidelities. Each has parameters of its own, which few trials cannot tell."""
SHARES = (2, 8)
"""Early fidelities where no trial was stopped: after a half and an eighth of the epochs."""


@dataclass(frozen=True, slots=True)
class SeedCurve:
    """Validations of one seed of a point so far."""

    scores: Curve
    """Scores of its validations; empty if only the end is known."""
    end: float | None = None
    """Score of a training with all its epochs; None if it was stopped or is running."""

    def best_until(self, epoch: int) -> float | None:
        """Return the best score up to an epoch; None if the training did not reach it."""
        if not self.scores or max(self.scores) < epoch:
            return None
        return max((score for at, score in self.scores.items() if at <= epoch), default=None)


def early_epochs(curves: Sequence[SeedCurve]) -> list[int]:
    """Return the epochs of the early fidelities, in ascending order.

    They are those after which most trials were stopped, since all trials can be compared there. Where fewer
    than ``MOST_EARLY`` are known, shares of all epochs are added.
    """
    stops = Counter(max(curve.scores) for curve in curves if curve.end is None and curve.scores)
    usual = sorted(stops, key=lambda epoch: (-stops[epoch], epoch))
    return sorted(list(dict.fromkeys([*usual, *_shares(curves)]))[:MOST_EARLY])


def _shares(curves: Sequence[SeedCurve]) -> Iterator[int]:
    """Return the validations nearest to shares of the epochs of a whole training."""
    whole = next((curve.scores for curve in curves if curve.end is not None and curve.scores), {})
    epochs = max(whole, default=0)
    early = [epoch for epoch in whole if epoch < epochs]
    for share in SHARES if early else ():
        yield min(early, key=lambda epoch: abs(epoch - epochs / share))
