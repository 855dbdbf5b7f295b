"""A plan as text, for ``--dry-run``."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.report.words import duration, value
from hpo.study.estimate import Estimate
from hpo.study.plan import StudyPlan
from hpo.tracking.symbols import symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutline:
    """A stage before it starts."""

    name: str
    plan: StudyPlan
    """With the stage's settings put in."""
    trials: int
    """At most."""
    estimate: Estimate


def plan_text(plan: StudyPlan, stages: Sequence[StageOutline]) -> str:
    """The resolved study, the data's figures and the time each stage will take."""
    lines = [*_data_lines(plan), *_study_lines(plan)]
    for stage in stages:
        lines += _stage_lines(stage)
    return "\n".join(lines)


def _data_lines(plan: StudyPlan) -> list[str]:
    lines = [f"data        {plan.dataset} in {plan.data}"]
    for name, split in (("train", plan.train.open()), ("valid", plan.valid.open())):
        actions = ", ".join(
            f"{int((split.actions[:, 2] == index).sum())} {label}"
            for index, label in enumerate(split.classes)
        )
        frames = sum(half.frames for half in split.halves)
        lines.append(
            f"  {name}     {len(split.games)} games, {frames:,} frames of {split.dims} values, {actions}"
        )
    return lines


def _study_lines(plan: StudyPlan) -> list[str]:
    training, trial = plan.training(), plan.paper_trial()
    return [
        f"training    {training.epochs} epochs, {training.sampler.name} sampler, validated every "
        f"{training.validate_every}, learning rate {trial.learning_rate:g} to "
        f"{trial.final_learning_rate:g}",
        f"device      {plan.device}, {plan.precision}",
        f"seed        {plan.seed}",
    ]


def _stage_lines(stage: StageOutline) -> list[str]:
    settings, time = stage.plan.study.stages.named(stage.name), stage.estimate
    places = stage.plan.places(stage.name)
    together = f", {places.array} in one process" if places.array > 1 else ""
    lines = [
        f"stage       {stage.name}: {stage.trials} trials at most, {settings.concurrent} at a time{together}"
    ]
    if isinstance(settings, SearchStage):
        own = stage.plan.study.hyperparameters.model_dump()
        lines.append(f"  space     searched by {settings.searcher}")
        if settings.scheduler != "none":
            grace = settings.grace(stage.plan.study.training.epochs)
            lines.append(
                f"  stopping  by {settings.scheduler} from epoch {grace} on: times below are the most"
            )
        for name, fields in space_of(settings).describe().items():
            bounds = ", ".join(f"{key} {entry}" for key, entry in fields.items() if key != "type")
            lines.append(f"  {symbol(name):<11} {fields['type']}: {bounds} (first {value(own[name])})")
    return [
        *lines,
        f"  speed     {time.speed.training:,.0f} chunks/s in training, "
        f"{time.speed.evaluation:,.0f} in validation (measured now)",
        f"  a trial   {duration(time.trial_s)}: {stage.plan.study.training.epochs} epochs of "
        f"{time.chunks_per_epoch:,} chunks, {time.validations} validations of {time.validation_chunks:,}",
        f"  the stage about {duration(time.study_s)}",
    ]
