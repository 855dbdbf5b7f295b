"""A stage before it starts: how many trials, how long."""

from hpo.study.estimate import estimate
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.stage import build_stage
from hpo.study.summary import StageOutline


def outline(plan: StudyPlan, request: StageRequest) -> StageOutline:
    """Plan a stage and measure for a moment how long it will take.

    Raises:
        ConfigError: The stage cannot run.
    """
    staged = plan.with_stage(request.name, stage_settings(plan, request))
    start = request.start or plan.own_configuration()
    trials = build_stage(staged, request.name, start, finalists={"study file": start, "found": start}).planned
    return StageOutline(
        name=request.name,
        plan=staged,
        trials=trials,
        estimate=estimate(staged, staged.places(request.name), trials=trials),
    )
