"""Descriptions that a person reads at the top of a run's page in MLflow."""

from collections.abc import Mapping

from hpo.journal.events import Value
from hpo.journal.results import StageState, StudyState, TrialState, TrialStatus

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description, in Markdown."""


def trial_note(study: str, trial: TrialState) -> str:
    """What a trial tried and what came of it."""
    return "\n\n".join(
        [
            f"Trial of stage `{trial.stage}` in study `{study}`, seed {trial.seed}.",
            *_outcome(trial),
            _table(trial.parameters),
        ]
    )


def stage_note(
    study: str, stage: StageState, state: StudyState, *, importance: Mapping[str, float] | None = None
) -> str:
    """What a stage searches, how far it is, its best trial so far and which hyperparameters mattered."""
    counts = state.counts(stage=stage.stage)
    ended = f"{counts[TrialStatus.FINISHED]} of {stage.trials} trials finished"
    if stopped := counts[TrialStatus.STOPPED]:
        ended += f", {stopped} stopped early"
    if failed := counts[TrialStatus.FAILED]:
        ended += f", {failed} failed"
    paragraphs = [
        f"Stage `{stage.stage}` of study `{study}` over {', '.join(stage.space) or 'no parameters'}: {ended}."
    ]
    for best in state.best(1, stage=stage.stage):
        paragraphs += [f"Best is `{best.trial}`:", *_outcome(best), _table(best.parameters)]
    if stage.role:
        paragraphs += [f"Kept: **{stage.role}**, by the mean over its seeds.", _table(stage.chosen)]
    if importance:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in importance.items())
        paragraphs.append(f"Importance (share of the variance of Average-mAP, fANOVA): {shares}.")
    return "\n\n".join(paragraphs)


def _outcome(trial: TrialState) -> list[str]:
    if trial.status is TrialStatus.FAILED:
        return [f"**Failed**: {trial.reason}"]
    if trial.score is None or trial.duration_s is None:
        return []
    return [
        f"**Average-mAP {trial.score:.4f}** on the validation split at epoch {trial.best_epoch}, "
        f"after {trial.duration_s / 60:.1f} minutes on {trial.device} of {trial.host}.",
        *([_stopped(trial)] if trial.status is TrialStatus.STOPPED else []),
    ]


def _stopped(trial: TrialState) -> str:
    return f"**Stopped early** after {trial.epochs_trained} epochs: others did better at the same epoch."


def _table(parameters: Mapping[str, Value]) -> str:
    rows = [
        f"| {name} | {value:.6g} |" if isinstance(value, float) else f"| {name} | {value} |"
        for name, value in parameters.items()
    ]
    return "\n".join(["| hyperparameter | value |", "|---|---|", *rows])
