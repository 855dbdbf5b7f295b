"""Scores of the configurations of a stage by role and replicate."""

from collections.abc import Sequence

from hpo.journal.trial_state import TrialState


def scores_by_role(trials: Sequence[TrialState]) -> dict[str, dict[int, float]]:
    """Return role -> replicate -> score of all trials with a score, roles in the order of proposal."""
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in trials:
        if trial.score is not None:
            table[trial.role][trial.replicate] = trial.score
    return table


def test_scores_by_role(trials: Sequence[TrialState], metric: str) -> dict[str, dict[int, float]]:
    """Return role -> replicate -> ``metric`` on the test split, for all trials evaluated on it."""
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in trials:
        if trial.tested is not None:
            table[trial.role][trial.replicate] = trial.tested[metric]
    return table
