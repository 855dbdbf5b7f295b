"""Configurations that a final compares."""

from collections.abc import Mapping

from hpo.config.stages import FinalStage
from hpo.journal.results import StudyState
from hpo.space.space import Parameters
from hpo.study.plan import StudyPlan

OWN = "study file"
"""Role of the study file's own configuration, with which the others are compared."""


def chosen_finalists(
    plan: StudyPlan, stage: str, start: Parameters, state: StudyState
) -> Mapping[str, Parameters]:
    """Return the study file's configuration, the one that was found and the next best, by role.

    Equal configurations appear once. Trials that were stopped early are used if too few have finished.

    Args:
        plan: Plan of the study.
        stage: Name of the stage; only a final has finalists.
        start: Configuration that was found.
        state: The study so far.
    """
    settings = plan.study.stages.named(stage)
    if not isinstance(settings, FinalStage):
        return {}
    own = plan.own_configuration()
    found: dict[str, Parameters] = {"found": start}
    for trial in state.best(settings.candidates, stage=plan.task.finders[0]):
        found[trial.trial] = {**own, **trial.parameters}
    chosen: dict[str, Parameters] = {OWN: own}
    for role, parameters in found.items():
        if len(chosen) <= settings.candidates and parameters not in chosen.values():
            chosen[role] = parameters
    return chosen


def expected_finalists(plan: StudyPlan, stage: str) -> Mapping[str, Parameters]:
    """Return as many finalists as ``stage`` can have, before an earlier stage has found any."""
    settings = plan.study.stages.named(stage)
    if not isinstance(settings, FinalStage):
        return {}
    own = plan.own_configuration()
    return dict.fromkeys([OWN, *(f"candidate {number + 1}" for number in range(settings.candidates))], own)
