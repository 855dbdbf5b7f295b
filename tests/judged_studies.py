"""Studies of one stage that never ran, for verdicts and texts about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shown_stages import NOON, trial, view

from hpo.journal.events import StageFinished
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState
from hpo.study.configurations.finalists import OWN

SCORES = {OWN: (0.30, 0.31, 0.32), "found": (0.40, 0.42, 0.41)}
"""Validation scores by role."""


def played(stage: str, trials: Sequence[TrialState], role: str = "") -> StudyState:
    """A study of one stage; with ``role``, the stage has ended and chosen it."""
    state = view(stage, trials).state
    replayed = StudyState.replay([state.created])
    replayed.stages[stage] = state.stages[stage]
    replayed.trials.update(state.trials)
    if role:
        chosen = next(each for each in state.trials.values() if each.role == role)
        event = StageFinished(
            stage=stage, best_trial=chosen.trial, role=role, chosen=chosen.parameters, at=NOON
        )
        replayed.apply(event)
    return replayed


def final(validation: Mapping[str, Sequence[float]], test: Mapping[str, Sequence[float]]) -> list[TrialState]:
    """Roles with scores by seed on both splits."""
    trials = []
    for place, (role, scores) in enumerate(validation.items()):
        for seed, score in enumerate(scores):
            number = 10 * place + seed
            made = trial(number, score, role=role, replicate=seed, parameters={"f": 4 + place})
            tested = {"average_map": test[role][seed]} if role in test else None
            trials.append(replace(made, tested=tested, test_items=4 if tested else None))
    return trials


def final_study() -> StudyState:
    """A study whose final found more than the study file's own configuration, on both splits."""
    tested = {OWN: (0.30, 0.31, 0.30), "found": (0.50, 0.52, 0.51)}
    return played("final", final(SCORES, tested), role="found")
