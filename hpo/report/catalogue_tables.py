"""Tables of studies, and the text about one trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState
from hpo.report.formats import duration, value
from hpo.report.stage_order import outdated, outdated_line
from hpo.space.symbols import symbol
from hpo.tasks.base.registry import classes_of, score_of

_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A study in a list of studies."""

    name: str
    task: str
    dataset: str
    """Name of data and features, such as ``soccernet-v1/resnet``."""
    stage: str
    """Stage that started last; empty before the first."""
    condition: str
    """``running``, ``complete``, ``stopped`` or ``unreadable``."""
    score: str
    """Name of the score."""
    best: float | None
    """Mean score of the best configuration over its seeds; None if no trial has a score."""
    trials: int
    """Number of trials."""
    changed_at: datetime
    """Time of the last event, in UTC."""
    size_bytes: int
    """Size of the study's folder."""
    fault: str = ""
    """Why its score, or all of it, cannot be read; empty if it can."""


def studies_table(entries: Sequence[Entry]) -> Table:
    """Return a table of studies."""
    table = _table("study", "task", "data", "stage", "state")
    for heading in ("trials", "best", "size"):
        table.add_column(heading, justify="right")
    table.add_column("changed")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.task,
            entry.dataset,
            entry.stage or "-",
            entry.condition,
            str(entry.trials),
            "-" if entry.best is None else f"{entry.score} {entry.best:.4f}",
            size(entry.size_bytes),
            ago(entry.changed_at),
        )
    return table


def size(bytes_: int) -> str:
    """Format a number of bytes, such as ``12.3 MB``."""
    amount, unit = float(bytes_), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{bytes_} B"


def ago(at: datetime) -> str:
    """Format how long ago a moment was, such as ``3 min 20 s ago``."""
    return f"{duration((datetime.now(UTC) - at).total_seconds())} ago"


def trial_lines(
    trial: TrialState, state: StudyState, files: Mapping[str, Path], *, is_running: bool
) -> list[str]:
    """Describe a trial in lines: what it is, what came of it, and its files.

    ``is_running`` says whether the study runs; without it nothing trains a trial that has not ended.
    """
    role = f", {trial.role}" if trial.role else ""
    lines = [
        f"trial       {state.created.study}/{trial.trial} of stage {trial.stage}{role}",
        f"seed        {trial.seed} (replicate {trial.replicate})",
        f"status      {trial.status_in_words(is_running=is_running)}{_times(trial)}",
    ]
    if trial.reason:
        lines.append(f"reason      {trial.reason}")
    lines += [
        f"note        {outdated_line(stage, state)}"
        for stage in outdated(state)
        if stage.stage == trial.stage
    ]
    if trial.score is not None:
        score, classes = score_of(state.created), classes_of(state.created)
        described = score.describe_named(trial.score, trial.metrics, classes)
        lines.append(f"score       {described} on the validation split at epoch {trial.best_epoch}")
    if trial.tested:
        tested = ", ".join(f"{name} {number:.4f}" for name, number in trial.tested.items())
        lines.append(f"test split  {tested}")
    lines += ["parameters", *(f"  {symbol(n):<20} {value(v)}" for n, v in trial.parameters.items())]
    return [*lines, *(f"{what:<11} {file}" for what, file in files.items())]


def validations_table(trial: TrialState) -> Table:
    """Return a table of all validations of a trial, one line per epoch that was validated."""
    reports = [report for _, report in sorted(trial.reports.items())]
    names = list(dict.fromkeys(name for report in reports for name in report.metrics))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("epoch", "time", *names):
        table.add_column(heading, justify="right")
    for report in reports:
        numbers = (f"{report.metrics[name]:.4g}" if name in report.metrics else "-" for name in names)
        table.add_row(str(report.epoch), duration(report.train_s), *numbers)
    return table


def _times(trial: TrialState) -> str:
    parts = [f"started {trial.started_at:%Y-%m-%d %H:%M:%S} UTC" if trial.started_at else ""]
    parts.append(f"ended {trial.ended_at:%Y-%m-%d %H:%M:%S} UTC" if trial.ended_at else "")
    parts.append(f"{duration(trial.duration_s)} of training" if trial.duration_s is not None else "")
    parts.append(f"on {trial.host} ({trial.device})" if trial.host else "")
    told = ", ".join(filter(None, parts))
    return f": {told}" if told else ""


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
