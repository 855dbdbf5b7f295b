"""Descriptions of studies, stages and trials at the top of their pages in MLflow."""

from collections.abc import Mapping

from hpo.journal.early_end import early_end_lines
from hpo.journal.events import Value
from hpo.journal.ranking import Configuration
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.search.importance import sample_note
from hpo.space.symbols import symbol
from hpo.tasks.base.found import best_of_stage, found_configuration
from hpo.tasks.base.registry import classes_of, description_of, score_of
from hpo.tracking.figures import FigureFiles
from model.shell import shell_line
from model.wording import counted

NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run, in Markdown."""

_PAGE = "[The study on one page]"


def trial_note(state: StudyState, trial: TrialState) -> str:
    """Describe a trial: its hyperparameters and its outcome."""
    study = state.created.study
    return "\n\n".join(
        [
            f"Trial of stage `{trial.stage}` in study `{study}`, seed {trial.seed}.",
            *_outcome(trial, state),
            parameter_table(trial.parameters),
        ]
    )


def study_note(state: StudyState, dataset: str) -> str:
    """Describe a study: its task, the results of its stages, and how to read its runs."""
    task, score = description_of(state.created), _score(state)
    stages = [
        f"| `{stage.stage}` | {_progress(stage, state)} | {_best_score(stage, state)} | "
        f"{_chosen(stage, state)} |"
        for stage in state.stages.values()
    ]
    notes = [f"- {note}" for note in dict.fromkeys([*state.notes, *early_end_lines(state)])]
    tags = study_tags(state)
    return "\n\n".join(
        [
            # The list of experiments shows the beginning, without formatting.
            f"{tags['hpo.status'].capitalize()}, {tags['hpo.trials']}, best {tags['hpo.best']}",
            f"Study `{state.created.study}` optimises the hyperparameters of task `{task.name}` on "
            f"**{dataset}**. Each run is a stage, each run below it a trial. The metric `score` is {score} "
            "on the validation split, between 0 and 1; higher is better.",
            "\n".join(["| stage | trials | best score | chosen |", "|---|---|---|---|", *stages]),
            "`hpo ui` prints, for every stage, the address of a table of its trials, best first. "
            f"`{shell_line('hpo', 'report', state.created.study)}` writes the whole study into one page.",
            *(["\n".join(["Messages:", "", *notes])] if notes else []),
        ]
    )


def study_tags(state: StudyState) -> dict[str, str]:
    """Return the tags that the list of experiments shows of a study: status, trials, best score, its data."""
    counts, found = state.counts(), found_configuration(state)
    ended = (TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.FAILED)
    if state.is_complete:
        status = "complete"
    elif state.budget_over:
        status = "budget over"
    else:
        status = "interrupted" if state.interrupted else "running"
    return {
        "hpo.status": status,
        "hpo.trials": ", ".join(f"{counts[each]} {each}" for each in ended if counts[each])
        or "no trial ended",
        "hpo.best": f"{_mean(found.configuration, state)}: {found.configuration.name}" if found else "-",
        **_data_tags(state),
    }


def _data_tags(state: StudyState) -> Mapping[str, str]:
    task, record = description_of(state.created), state.created.plan.get("shape")
    return {} if record is None else task.data_tags(task.shape_from_json(record))


def stage_note(
    study: str,
    stage: StageState,
    state: StudyState,
    *,
    importance: Mapping[str, float] | None = None,
    drawn: FigureFiles | None = None,
) -> str:
    """Describe a stage: its space, its progress, its best trial so far and the importance of hyperparameters.

    Args:
        study: Name of the study.
        stage: State of the stage.
        state: State of the study.
        importance: Symbol -> importance, after the end of the stage.
        drawn: Figures, after the end of the stage.
    """
    searched = ", ".join(map(symbol, stage.space))
    paragraphs = [
        f"Stage `{stage.stage}` of study `{study}`{' over ' if searched else ''}{searched}: "
        f"{_progress(stage, state)}."
    ]
    if found := best_of_stage(state, stage.stage):
        configuration = found.configuration
        paragraphs += [f"{found.word.capitalize()}: **{configuration.name}**, {_mean(configuration, state)}."]
        if len(configuration.scores) > 1:
            paragraphs += [f"Its best trial: `{found.trial.trial}`"]
        paragraphs += [*_outcome(found.trial, state), parameter_table(found.parameters)]
    if importance:
        shares = ", ".join(f"{name} {share:.2f}" for name, share in importance.items())
        note = sample_note(len(state.ranked(stage.stage)))
        explained = f"share of the variance of {_score(state)} that single hyperparameters explain"
        basis = f", {note}" if note else ""
        paragraphs.append(f"Importance ({explained}, fANOVA{basis}): {shares}.")
    if drawn is not None and drawn.files:
        paragraphs.append("Figures: see Artifacts, folder `figures`; `figures.html` is interactive.")
    if drawn is not None and drawn.failures:
        paragraphs.append(f"Figures that failed: {'; '.join(drawn.failures)}.")
    return "\n\n".join(paragraphs)


def with_page_link(note: str, address: str) -> str:
    """Add a link to the study's page after the first paragraph of a description, replacing an older link."""
    first, *others = [paragraph for paragraph in note.split("\n\n") if not paragraph.startswith(_PAGE)]
    return "\n\n".join([first, f"{_PAGE}({address})", *others])


def _score(state: StudyState) -> str:
    """Return the readable name of the score."""
    return score_of(state.created).label


def _progress(stage: StageState, state: StudyState) -> str:
    counts = state.counts(stage=stage.stage)
    most = state.trials_at_most(stage.stage)
    ended = f"{counts[TrialStatus.FINISHED]} of {counted(most, 'trial')} finished"
    if stopped := counts[TrialStatus.STOPPED]:
        ended += f", {stopped} stopped early"
    if failed := counts[TrialStatus.FAILED]:
        ended += f", {failed} failed"
    return ended


def _best_score(stage: StageState, state: StudyState) -> str:
    found = best_of_stage(state, stage.stage)
    return _mean(found.configuration, state) if found else "-"


def _chosen(stage: StageState, state: StudyState) -> str:
    found = best_of_stage(state, stage.stage)
    return found.configuration.name if found and found.is_chosen else "-"


def _mean(configuration: Configuration, state: StudyState) -> str:
    """Format the mean of a configuration with its interval and its number of seeds."""
    score, classes, seeds = score_of(state.created), classes_of(state.created), len(configuration.scores)
    described = score.describe(configuration.mean, configuration.metrics, classes)
    if seeds < 2:
        return f"{described} with one seed"
    return f"{described} ± {configuration.half_width:.4f} (95 %, {seeds} seeds)"


def _outcome(trial: TrialState, state: StudyState) -> list[str]:
    if trial.status is TrialStatus.FAILED:
        return [f"**Failed**: {trial.reason}"]
    stopped = [_stopped(trial)] if trial.status is TrialStatus.STOPPED else []
    if trial.score is None or trial.duration_s is None:
        return stopped
    score, classes = score_of(state.created), classes_of(state.created)
    named = score.describe_named(trial.score, trial.metrics, classes)
    return [
        f"**{named}** on the validation split at epoch {trial.best_epoch}, "
        f"after {trial.duration_s / 60:.1f} minutes on {trial.device} of {trial.host}.",
        *stopped,
    ]


def _stopped(trial: TrialState) -> str:
    why = trial.reason or "other trials were better at this epoch"
    return f"**Stopped early** after {counted(trial.epochs_trained, 'epoch')}: {why}."


def parameter_table(parameters: Mapping[str, Value]) -> str:
    """Return hyperparameters with their values as a table in Markdown."""
    rows = [
        f"| {name} | {value:.6g} |" if isinstance(value, float) else f"| {name} | {value} |"
        for name, value in parameters.items()
    ]
    return "\n".join(["| hyperparameter | value |", "|---|---|", *rows])
