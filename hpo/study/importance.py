"""How much each hyperparameter mattered in a search, from its finished trials."""

from collections.abc import Mapping
from statistics import fmean

from hpo.config.stages import SEARCH
from hpo.journal.results import StudyState, TrialStatus
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space


def stage_importance(state: StudyState, stage: str) -> Mapping[str, float]:
    """The share of each hyperparameter, most important first; see ``hpo.search.importance``.

    It follows from the journal, so it is computed where it is shown and never written there.

    Returns:
        By name; empty for a stage that is no search, and for too few trials.
    """
    if stage != SEARCH or stage not in state.stages:
        return {}
    from hpo.search.importance import importance  # Optuna takes a second

    scores: dict[tuple[object, ...], list[float]] = {}
    points = {}
    for trial in state.trials_of(stage):
        if trial.status is TrialStatus.FINISHED and trial.score is not None:
            key = tuple(trial.parameters.items())
            points[key] = dict(trial.parameters)
            scores.setdefault(key, []).append(trial.score)
    scored = [ScoredPoint(point, fmean(scores[key])) for key, point in points.items()]
    space = Space.from_description(state.stages[stage].space)
    return importance(space, scored, seed=state.created.seed)
