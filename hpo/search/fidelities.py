"""Fidelities at which trials are compared: early epochs, where all have a score, and the end of training."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Curve = Mapping[int, float]
"""Finished epochs -> score of each validation."""

MOST_EARLY = 2
"""Maximum number of early fidelities. Each has parameters of its own, which few trials cannot tell."""
MISSED = 10
"""One in so many stopped trials may have been stopped before the first fidelity."""


@dataclass(frozen=True, slots=True)
class SeedCurve:
    """Validations of one seed of a point so far."""

    scores: Curve
    """Scores of its validations; empty if only the end is known."""
    end: float | None = None
    """Score of a training with all its epochs; None if it was stopped or is running."""
    is_stopped: bool = False
    """Whether it was stopped early, so that it will never have another score."""

    def best_until(self, epoch: int) -> float | None:
        """Return the best score up to an epoch; None if the training did not reach it."""
        if not self.scores or max(self.scores) < epoch:
            return None
        return max((score for at, score in self.scores.items() if at <= epoch), default=None)


def early_epochs(curves: Sequence[SeedCurve]) -> list[int]:
    """Return the epochs of the early fidelities, in ascending order; none if no trial was stopped.

    The first is one that nearly all stopped trials reached, so that all trials can be compared there. Of the
    later ones, those count after which most trials were stopped.
    """
    stops = sorted(max(curve.scores) for curve in curves if curve.is_stopped and curve.scores)
    if not stops:
        return []
    first = stops[len(stops) // MISSED]
    later = Counter(epoch for epoch in stops if epoch > first).most_common(MOST_EARLY - 1)
    return sorted([first, *(epoch for epoch, _ in later)])
