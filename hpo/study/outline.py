"""Outline of a study before it starts, as ``--dry-run`` prints it: stages, trials and time."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.config.environment import Environment
from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.report.formats import duration, value, values_tried
from hpo.study.estimate import Estimate, estimate
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.stage import build_stage
from hpo.tracking.symbols import symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutline:
    """Plan of a stage before it starts."""

    name: str
    plan: StudyPlan
    """Plan of the study with the settings of the stage."""
    trials: int
    """Largest number of trials."""
    estimate: Estimate | None
    """Estimated time. None if the task cannot estimate it."""


def outline(plan: StudyPlan, request: StageRequest, environment: Environment) -> StageOutline:
    """Plan a stage and estimate its time from a short measurement.

    Raises:
        ConfigError: The stage cannot run.
    """
    staged = plan.with_stage(request.name, stage_settings(plan, request, environment))
    start = request.start or plan.own_configuration()
    trials = build_stage(staged, request.name, start, finalists={"study file": start, "found": start}).planned
    return StageOutline(
        name=request.name,
        plan=staged,
        trials=trials,
        estimate=estimate(staged, staged.parallelism(request.name), environment, trials=trials),
    )


def plan_text(plan: StudyPlan, stages: Sequence[StageOutline]) -> str:
    """Describe the resolved study, its data and the time of each stage."""
    lines = [*_data_lines(plan), *(f"note        {notice}" for notice in plan.notices), *_study_lines(plan)]
    for stage in stages:
        lines += _stage_lines(stage)
    return "\n".join(lines)


def _data_lines(plan: StudyPlan) -> list[str]:
    lines = [f"data        {plan.dataset} in {plan.data}"]
    for name, split in (("train", plan.train), ("valid", plan.valid)):
        content = plan.task.describe_split(plan.task.open_split(split))
        lines.append(f"  {name}     {', '.join(filter(None, [split.size(plan.task.unit), content]))}")
    return lines


def _study_lines(plan: StudyPlan) -> list[str]:
    return [
        f"training    {plan.task.describe_training(plan.study, plan.shape)}",
        f"device      {plan.device}, {plan.precision}",
        f"seed        {plan.seed}",
    ]


def _stage_lines(stage: StageOutline) -> list[str]:
    settings = stage.plan.study.stages.named(stage.name)
    parallelism = stage.plan.parallelism(stage.name)
    together = f", {parallelism.array} in one process" if parallelism.array > 1 else ""
    lines = [
        f"stage       {stage.name}: {stage.trials} trials at most, "
        f"{parallelism.concurrent} at a time{together}"
    ]
    if isinstance(settings, SearchStage):
        own = stage.plan.study.hyperparameters.model_dump()
        lines.append(f"  space     searched by {settings.searcher}")
        if settings.scheduler != "none":
            grace = settings.grace(stage.plan.study.training.epochs)
            lines.append(
                f"  stopping  by {settings.scheduler} from epoch {grace} on; the times below are upper limits"
            )
        for name, fields in space_of(settings).describe().items():
            lines.append(f"  {symbol(name):<11} {values_tried(fields)} (first {value(own[name])})")
    return [*lines, *_time_lines(stage.estimate)]


def _time_lines(time: Estimate | None) -> list[str]:
    if time is None:
        return []
    return [
        f"  speed     {time.trial.speed}",
        f"  a trial   {duration(time.trial.trial_s)}: {time.trial.work}",
        f"  the stage about {duration(time.study_s)}",
    ]
