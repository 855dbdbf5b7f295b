"""The configurations that a final compares."""

from collections.abc import Mapping

from hpo.config.stages import FinalStage
from hpo.journal.results import StudyState
from hpo.space.space import Parameters
from hpo.study.plan import StudyPlan

OWN = "study file"
"""The configuration to beat: the study file's own, which with ``calf`` is the paper's."""


def chosen_finalists(
    plan: StudyPlan, stage: str, start: Parameters, state: StudyState
) -> Mapping[str, Parameters]:
    """Role -> configuration: the study file's own, what was found, and the next best of the search.

    Configurations that are equal stand once; trials that were stopped early stand in where too few finished.

    Args:
        plan: Of the study.
        stage: Whose finalists; one that is no final has none.
        start: What was found.
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
