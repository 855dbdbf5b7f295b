"""Tables of studies and trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from hpo.journal.events import Value
from hpo.journal.results import StudyState, TrialState, TrialStatus
from hpo.report.formats import class_score, duration, value
from hpo.tasks.base.registry import classes_of, score_of
from hpo.tasks.base.score import Score
from hpo.tracking.symbols import by_symbol, symbol
from model.shell import shell_line


def best_table(trials: Sequence[TrialState], classes: Sequence[str], *, score: Score) -> Table:
    """Return a table of trials: score, hyperparameters, AP per class.

    A hyperparameter whose condition does not hold is ``-``. If a class has no actions in the validation
    split, its AP is ``-``, and the score is shown as mean over all classes and as mean over the classes
    present.
    """
    others = [score.other_mean(trial.metrics, classes) for trial in trials]
    other = next(filter(None, others), None)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", no_wrap=True)
    for heading in (score.full_label, other.full_label) if other else (score.label,):
        table.add_column(heading, justify="right")
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    for name in names:
        table.add_column(symbol(name), justify="right")
    for name in classes:
        table.add_column(f"AP {name}", justify="right")
    table.add_column("epoch", justify="right")
    table.add_column("time", justify="right")
    some_stopped = any(trial.status is TrialStatus.STOPPED for trial in trials)
    if some_stopped:
        table.add_column("stopped early")
    for trial in trials:
        table.add_row(*_row(trial, names, classes, other), *([_early_stop(trial)] if some_stopped else []))
    return table


def importance_line(shares: Mapping[str, float]) -> str:
    """Format the importance of hyperparameters, such as ``importance: f 0.41  r 0.22``."""
    return f"importance: {'  '.join(f'{symbol(name)} {share:.2f}' for name, share in shares.items())}"


def _row(trial: TrialState, names: Sequence[str], classes: Sequence[str], other: Score | None) -> list[str]:
    metrics, parameters = trial.metrics, trial.parameters
    return [
        trial.trial,
        f"{trial.score or 0.0:.4f}",
        *([f"{metrics[other.metric]:.4f}" if other.metric in metrics else "-"] if other else []),
        *(value(parameters[name]) if name in parameters else "-" for name in names),
        *(class_score(metrics, name, digits=3) for name in classes),
        str(trial.best_epoch),
        duration(trial.duration_s or 0.0),
    ]


def _early_stop(trial: TrialState) -> str:
    return f"at epoch {trial.epochs_trained}" if trial.status is TrialStatus.STOPPED else ""


def trial_record(trial: TrialState, *, score: str) -> dict[str, Any]:
    """Return a trial as JSON, with the paper's symbols; ``score`` names the metric that is maximised."""
    return {
        "trial": trial.trial,
        "status": str(trial.status),
        score: trial.score,
        "epoch": trial.best_epoch,
        "parameters": by_symbol(trial.parameters),
        "seed": trial.seed,
        "metrics": dict(trial.metrics),
        "duration_s": trial.duration_s,
    }


def status_lines(name: str, state: StudyState, *, writer: str | None) -> list[str]:
    """Describe the state of a study in a few lines."""
    lines = [f"study {name}: {condition(state, writer)}"]
    for stage in state.stages.values():
        counts = state.counts(stage=stage.stage)
        parts = [f"{counts[TrialStatus.FINISHED]} of {stage.trials} trials finished"]
        running = counts[TrialStatus.RUNNING] + counts[TrialStatus.ASKED]
        if running:
            parts.append(f"{running} {'running' if writer else 'waiting to be resumed'}")
        if counts[TrialStatus.STOPPED]:
            parts.append(f"{counts[TrialStatus.STOPPED]} stopped early")
        if counts[TrialStatus.FAILED]:
            parts.append(f"{counts[TrialStatus.FAILED]} failed")
        lines.append(f"stage {stage.stage}: {', '.join(parts)}")
        if stage.start:
            lines += [f"chosen: {stage.role}"] if stage.role else []
        else:
            lines += [f"best: {best_line(trial, state)}" for trial in state.best(1, stage=stage.stage)]
    lines.extend(
        f"failed: {trial.trial}: {trial.reason}"
        for trial in state.trials.values()
        if trial.status is TrialStatus.FAILED
    )
    lines.extend(f"note: {note}" for note in state.notes)
    return lines


def best_line(trial: TrialState, state: StudyState, start: Mapping[str, Value] | None = None) -> str:
    """Describe a trial with a score in one line, with the values that differ from ``start``."""
    score, classes = score_of(state.created), classes_of(state.created)
    described = score.describe(trial.score or 0.0, trial.metrics, classes)
    return f"{described} by {trial.trial} ({describe_settings(trial, start or {})})"


def describe_settings(trial: TrialState, start: Mapping[str, Value]) -> str:
    """Describe a trial's settings: its role, and the hyperparameters that differ from ``start``.

    Hyperparameters of one class, such as ``K1_frames.goal`` to ``K4_frames.goal``, are shown together.
    """
    own = {name: number for name, number in trial.parameters.items() if start.get(name) != number}
    parts = [trial.role] if trial.role and trial.role != "grid" else []
    parts += [f"{symbol(name)} {value(number)}" for name, number in own.items() if "." not in name]
    for label in dict.fromkeys(name.partition(".")[2] for name in own if "." in name):
        parts.append(f"{label} {_class_values(label, trial.parameters)}")
    return "  ".join(parts) or "start"


def _class_values(label: str, parameters: Mapping[str, Value]) -> str:
    """Format the values of one class, such as ``K -40 -20 10 60`` for ``K1`` to ``K4``."""
    values: dict[str, list[str]] = {}
    for name, number in parameters.items():
        stem, _, its_label = name.partition(".")
        if its_label == label:
            values.setdefault(symbol(stem).rstrip("0123456789"), []).append(value(number))
    return "  ".join(f"{stem} {' '.join(numbers)}" for stem, numbers in values.items())


def condition(state: StudyState, writer: str | None) -> str:
    """Describe whether a study is running, complete or stopped; ``writer`` names the running process."""
    if writer is not None:
        return f"running ({writer})"
    if state.stages and all(stage.finished_at for stage in state.stages.values()):
        return "complete"
    return f"stopped; resume with: {shell_line('hpo', 'resume', state.created.study)}"
