"""Descriptions that a person reads at the top of a run's page in MLflow."""

from collections.abc import Mapping

from hpo.journal.events import Value
from hpo.journal.results import StageState, StudyState, TrialState, TrialStatus
from hpo.tasks.base.registry import task_of
from hpo.tracking.figures import FigureFiles
from hpo.tracking.symbols import symbol

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a run's description, in Markdown."""

_PAGE = "[The study on one page]"


def trial_note(state: StudyState, trial: TrialState) -> str:
    """What a trial tried and what came of it."""
    study = state.created.study
    return "\n\n".join(
        [
            f"Trial of stage `{trial.stage}` in study `{study}`, seed {trial.seed}.",
            *_outcome(trial, _score(state)),
            _table(trial.parameters),
        ]
    )


def study_note(state: StudyState, dataset: str) -> str:
    """What a study is for, what its stages came to and how its runs are to be read."""
    task, score = task_of(state.created), _score(state)
    stages = [
        f"| `{stage.stage}` | {_progress(stage, state)} | {_best_score(stage, state)} | {stage.role or '-'} |"
        for stage in state.stages.values()
    ]
    return "\n\n".join(
        [
            f"Hyperparameters of task `{task.name}` on **{dataset}**: study `{state.created.study}`. A run "
            f"is a stage, a run below it a trial; `score` is {score} on the validation split in [0, 1], "
            "higher is better.",
            "\n".join(["| stage | trials | best score | kept |", "|---|---|---|---|", *stages]),
            "`hpo ui` prints an address for every stage at which its trials stand in a table, best first. "
            f"All in one page: `hpo report {state.created.study}`.",
        ]
    )


def stage_note(
    study: str,
    stage: StageState,
    state: StudyState,
    *,
    importance: Mapping[str, float] | None = None,
    drawn: FigureFiles | None = None,
) -> str:
    """What a stage searches, how far it is, its best trial so far and which hyperparameters mattered.

    Args:
        study: Its name.
        stage: The stage.
        state: The study.
        importance: By symbol, once the stage has ended.
        drawn: Its figures, once the stage has ended.
    """
    searched = ", ".join(map(symbol, stage.space))
    paragraphs = [
        f"Stage `{stage.stage}` of study `{study}`{' over ' if searched else ''}{searched}: "
        f"{_progress(stage, state)}."
    ]
    for best in state.best(1, stage=stage.stage):
        paragraphs += [f"Best is `{best.trial}`:", *_outcome(best, _score(state)), _table(best.parameters)]
    if stage.role:
        paragraphs += [f"Kept: **{stage.role}**, by the mean over its seeds.", _table(stage.chosen)]
    if importance:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in importance.items())
        paragraphs.append(f"Importance (share of the variance of {_score(state)}, fANOVA): {shares}.")
    if drawn is not None and drawn.files:
        paragraphs.append("Figures: under Artifacts, in `figures`; `figures.html` is there to be explored.")
    if drawn is not None and drawn.failures:
        paragraphs.append(f"Figures that could not be drawn: {'; '.join(drawn.failures)}.")
    return "\n\n".join(paragraphs)


def with_page(note: str, address: str) -> str:
    """The description with a link to the study's page above it; one that was there is replaced."""
    rest = note.partition("\n\n")[2] if note.startswith(_PAGE) else note
    return f"{_PAGE}({address})\n\n{rest}"


def _score(state: StudyState) -> str:
    """What is maximised, for people."""
    return task_of(state.created).score.label


def _progress(stage: StageState, state: StudyState) -> str:
    counts = state.counts(stage=stage.stage)
    ended = f"{counts[TrialStatus.FINISHED]} of {stage.trials} trials finished"
    if stopped := counts[TrialStatus.STOPPED]:
        ended += f", {stopped} stopped early"
    if failed := counts[TrialStatus.FAILED]:
        ended += f", {failed} failed"
    return ended


def _best_score(stage: StageState, state: StudyState) -> str:
    return next((f"{best.score:.4f}" for best in state.best(1, stage=stage.stage)), "-")


def _outcome(trial: TrialState, score: str) -> list[str]:
    if trial.status is TrialStatus.FAILED:
        return [f"**Failed**: {trial.reason}"]
    if trial.score is None or trial.duration_s is None:
        return []
    return [
        f"**{score} {trial.score:.4f}** on the validation split at epoch {trial.best_epoch}, "
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
