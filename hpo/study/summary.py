"""A plan as text, for ``--dry-run``."""

from hpo.config.study_file import space_of
from hpo.report.words import duration, value
from hpo.study.estimate import Estimate
from hpo.study.plan import StudyPlan
from hpo.tracking.symbols import symbol


def plan_text(plan: StudyPlan, estimate: Estimate) -> str:
    """The resolved study, the data's figures and the time it will take."""
    return "\n".join([*_data_lines(plan), *_study_lines(plan), *_time_lines(plan, estimate)])


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
    stage, training = plan.study.stages[plan.stage], plan.training()
    trial = plan.paper_trial()
    lines = [
        f"stage       {plan.stage}: {stage.trials} trials by {stage.searcher}, {stage.concurrent} at a time",
        f"training    {training.epochs} epochs, {training.sampler.name} sampler, validated every "
        f"{training.validate_every}, learning rate {trial.learning_rate:g} to "
        f"{trial.final_learning_rate:g}",
        f"device      {plan.device}, {plan.precision}",
        f"seed        {plan.seed}",
        "space",
    ]
    own = plan.study.hyperparameters.model_dump()
    for name, fields in space_of(stage).describe().items():
        bounds = ", ".join(f"{key} {entry}" for key, entry in fields.items() if key != "type")
        lines.append(f"  {symbol(name):<11} {fields['type']}: {bounds} (first {value(own[name])})")
    return lines


def _time_lines(plan: StudyPlan, estimate: Estimate) -> list[str]:
    return [
        f"speed       {estimate.speed.training:,.0f} chunks/s in training, "
        f"{estimate.speed.evaluation:,.0f} in validation (measured now)",
        f"a trial     {duration(estimate.trial_s)}: {plan.study.training.epochs} epochs of "
        f"{estimate.chunks_per_epoch:,} chunks, {estimate.validations} validations of "
        f"{estimate.validation_chunks:,}",
        f"the stage   about {duration(estimate.study_s)}",
    ]
