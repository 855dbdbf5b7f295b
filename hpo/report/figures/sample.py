"""Selection of the trials that a figure draws, so that a study of thousands has figures of bounded size."""

from collections.abc import Sequence

from hpo.journal.ranking import has_score
from hpo.journal.trial_state import TrialState

_BEST_SHARE = 3
"""One trial in so many is one of the best."""


def drawn_trials(trials: Sequence[TrialState], most: int) -> list[TrialState]:
    """Return at most ``most`` trials in their order: a third of them the best, the others evenly spaced."""
    if len(trials) <= most:
        return list(trials)
    scored = sorted((-(trial.score or 0.0), place) for place, trial in enumerate(trials) if has_score(trial))
    best = {place for _, place in scored[: most // _BEST_SHARE]}
    others = [place for place in range(len(trials)) if place not in best]
    left = most - len(best)
    spaced = {others[number * len(others) // left] for number in range(left)}
    return [trials[place] for place in sorted(best | spaced)]


def drawn_note(shown: int, trials: int) -> str:
    """Say in a caption that only some of the trials are drawn; empty if all are."""
    if shown == trials:
        return ""
    return f" {shown:,} of {trials:,} trials are drawn: the best ones, and others evenly spaced in time."
