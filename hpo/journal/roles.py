"""Scores of the configurations of a stage by role and replicate."""

from collections.abc import Sequence

from hpo.journal.ranking import counted_by_configuration
from hpo.journal.trial_state import TrialState


def scores_by_role(trials: Sequence[TrialState]) -> dict[str, dict[int, float]]:
    """Return role -> replicate -> score of the trials that count, roles in the order of proposal.

    ``counted_trials`` says which ones count.
    """
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in counted_by_configuration(trials):
        if trial.score is not None:
            table[trial.role][trial.replicate] = trial.score
    return table


def test_scores_by_role(trials: Sequence[TrialState], metric: str) -> dict[str, dict[int, float]]:
    """Return role -> replicate -> ``metric`` on the test split, for the trials that count and were tested."""
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in counted_by_configuration(trials):
        if trial.tested is not None:
            table[trial.role][trial.replicate] = trial.tested[metric]
    return table
