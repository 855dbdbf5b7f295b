"""Outline of a study before it starts, as ``--dry-run`` prints it: stages, trials and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpo.config.environment import Environment
from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.journal.budget import TRIAL_START_S
from hpo.report.budget_lines import fitting
from hpo.report.formats import duration, value, values_tried
from hpo.space.symbols import symbol
from hpo.study.configurations.first_points import FirstPoint
from hpo.study.configurations.warm_start import describe_known
from hpo.study.estimate import SESSION_START_S, Estimate, estimate
from hpo.study.plan import StudyPlan
from hpo.study.running.preparing import PreparedStage
from model.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutline:
    """Plan of a stage before it starts."""

    stage: PreparedStage
    estimate: Estimate | None
    """Estimated time. None if the task cannot estimate it."""


def outline(stage: PreparedStage, environment: Environment) -> StageOutline:
    """Estimate the time of a stage from a short measurement.

    Raises:
        UserError: A measurement on a GPU fails.
    """
    parallelism = stage.plan.parallelism(stage.asked.stage)
    expected = estimate(stage.plan, parallelism, environment, trials=stage.left)
    return StageOutline(stage=stage, estimate=expected)


def plan_text(plan: StudyPlan, name: str, stages: Sequence[StageOutline]) -> str:
    """Describe the resolved study ``name``, its data and the time of each stage."""
    lines = [
        f"study       {name}",
        *_data_lines(plan),
        *(f"note        {notice}" for notice in plan.notices),
        *_study_lines(plan),
    ]
    spent_s = 0.0
    for stage in stages:
        lines += _stage_lines(stage) + _budget_lines(stage, spent_s)
        spent_s += stage.estimate.study_s if stage.estimate else 0.0
    return "\n".join(lines)


def _data_lines(plan: StudyPlan) -> list[str]:
    if not plan.description.reads_data:
        return [f"data        opened by the task {plan.study.task}"]
    lines = [f"data        {plan.dataset} in {plan.data}"]
    for name, split in (("train", plan.train), ("valid", plan.valid)):
        content = plan.task.describe_split(plan.task.open_split(split))
        lines.append(f"  {name}     {', '.join(filter(None, [split.size(plan.task.unit), content]))}")
    return lines


def _study_lines(plan: StudyPlan) -> list[str]:
    return [
        f"device      {plan.device}, {plan.precision}",
        f"seed        {plan.seed}",
    ]


def _stage_lines(outlined: StageOutline) -> list[str]:
    stage, plan = outlined.stage, outlined.stage.plan
    name = stage.asked.stage
    settings, parallelism = plan.study.stages.named(name), plan.parallelism(name)
    together = f", {parallelism.array} in one process" if parallelism.array > 1 else ""
    left = f", {stage.left} left" if stage.left < stage.trials else ""
    trials = f"{counted(stage.trials, 'trial')} at most{left}, {parallelism.concurrent} at a time{together}"
    lines = [
        f"stage       {name}: {trials}",
        f"  training  {plan.task.describe_training(plan.study, plan.shape)}",
    ]
    if isinstance(settings, SearchStage):
        lines += _search_lines(plan, settings, outlined) + _fixed_lines(plan, settings)
    lines += [f"  {line}" for line in plan.description.describe_stage(plan.study, name, plan.shape)]
    return [*lines, *_time_lines(outlined.estimate)]


def _search_lines(plan: StudyPlan, settings: SearchStage, outlined: StageOutline) -> list[str]:
    stage = outlined.stage
    lines = [f"  space     searched by {settings.searcher}"]
    if first := settings.first_stop(plan.study.training.schedule):
        limits = "; the times below are upper limits" if outlined.estimate else ""
        lines.append(f"  stopping  by {settings.scheduler} from epoch {first} on{limits}")
    if settings.stop_when == "unlikely":
        lines.append("  end       when further trials are unlikely to gain anything")
    for name, fields in space_of(settings).describe().items():
        lines.append(f"  {symbol(name):<11} {values_tried(fields)}")
    if known := describe_known(stage.asked.known):
        lines.append(f"  warm      {known}")
    lines += ["  first", *map(_point_line, stage.first)] if stage.first else []
    return lines


def _fixed_lines(plan: StudyPlan, settings: SearchStage) -> list[str]:
    """Show what the search does not vary: other hyperparameters, and what depends on the data."""
    own: dict[str, Any] = plan.study.hyperparameters.model_dump()
    fixed = {name: entry for name, entry in own.items() if name not in settings.space}
    values = "  ".join(f"{symbol(name)} {value(entry)}" for name, entry in fixed.items())
    lines = [f"  fixed     {values} (study file)"] if fixed else []
    return lines + [f"  {line}" for line in plan.task.describe_fixed(plan.study, plan.shape)]


def _point_line(point: FirstPoint) -> str:
    values = "  ".join(f"{symbol(name)} {value(entry)}" for name, entry in point.parameters.items())
    return f"    {point.source:<12} {values}{f' (left out: {point.why_not})' if point.why_not else ''}"


def _budget_lines(outlined: StageOutline, spent_s: float) -> list[str]:
    """Say how many trials fit into the budget of a stage; ``spent_s`` is the time of the stages before."""
    limit, time, stage = outlined.stage.limit, outlined.estimate, outlined.stage
    if limit is None:
        return []
    left_s = max(0.0, limit.left_s - (0.0 if limit.of_stage else spent_s))
    line = f"  budget    {limit.words}: {duration(left_s)} for this stage"
    if time is not None:
        concurrent = stage.plan.parallelism(stage.asked.stage).concurrent
        most = fitting(max(0.0, left_s - SESSION_START_S), time.trial.trial_s + TRIAL_START_S, concurrent)
        line += f", about {min(most, stage.left)} of its {stage.left} trials fit"
    return [line]


def _time_lines(time: Estimate | None) -> list[str]:
    if time is None:
        return []
    return [
        f"  speed     {time.trial.speed}",
        f"  a trial   {duration(time.trial.trial_s)}: {time.trial.work}",
        f"  total     about {duration(time.study_s)}",
    ]
