"""Progress of a running study: a line per trial, and below them a live display on a terminal."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo.journal.early_end import early_end_lines
from hpo.journal.ranking import GRID, Configuration
from hpo.journal.results import StudyState
from hpo.journal.stage_state import StageState
from hpo.journal.tally import Tally
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.budget_lines import left_line
from hpo.report.formats import duration, mean_with_interval
from hpo.report.gain_lines import gain_line, would_stop
from hpo.report.stage_order import outdated, outdated_line
from hpo.report.trial_tables import best_line
from hpo.tasks.base.registry import classes_of, score_of
from model.wording import counted

_PER_S = "_per_s"
"""Suffix of the metrics that are speeds."""
_COMPARISON = "the grid is explored; new seeds now compare its result with the start, and decide"


class Display:
    """Display of the running stage; call ``update`` with the state after every event."""

    def __init__(self, console: Console, cluster: str | None = None) -> None:
        """Create a display.

        Args:
            console: Writes to standard error.
            cluster: Address of the Ray cluster that trains, which commands that continue the study get.
        """
        self._cluster = cluster
        self._stage, self._epochs, self._notes = "", 1, 0
        self._console = console
        self._state: StudyState | None = None
        self._printed: int | None = None
        self._offers_stop, self._has_told_end = True, False
        self._clock = _Clock()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the display inside the context."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            console=self._console, get_renderable=self._render, refresh_per_second=4, transient=False
        ) as live:
            yield
            live.refresh()

    def update(self, state: StudyState) -> None:
        """Show the state after an event."""
        self._state = state
        if not state.stages:
            return
        stage = _shown_stage(state)
        if stage.stage != self._stage:
            self._begin(stage, state)
        for note in state.notes[self._notes :]:
            self._console.print(f"note: {note}", soft_wrap=True)
        self._notes = len(state.notes)
        tally = state.tally(stage.stage)
        self._clock.update(tally)
        self._show(state, tally)
        if stage.finished_at and not self._has_told_end:
            self._has_told_end = True
            for line in early_end_lines(state, self._cluster):
                self._console.print(f"note: {line}", soft_wrap=True)

    def _show(self, state: StudyState, tally: Tally) -> None:
        """Print what is new, above the live display of a terminal, which draws itself."""
        self._print_ended(state, tally)

    def _begin(self, stage: StageState, state: StudyState) -> None:
        self._stage, self._epochs = stage.stage, max(stage.epochs, 1)
        self._printed, self._clock, self._offers_stop = None, _Clock(), True
        self._has_told_end = stage.finished_at is not None
        if stage.finished_at is None:
            length = f"{counted(stage.trials, 'trial')} at most, {counted(self._epochs, 'epoch')} each"
            self._console.print(f"stage {stage.stage}: {length}", soft_wrap=True)
            for each in outdated(state):
                self._console.print(f"note: {outdated_line(each, state)}", soft_wrap=True)

    def _left(self, state: StudyState) -> str:
        """Say what the budget leaves for the stage; empty without a budget and at the end."""
        if state.stages[self._stage].finished_at:
            return ""
        return left_line(state, self._stage, datetime.now(UTC), is_running=True)

    def _gain(self, state: StudyState) -> str:
        """Say what further trials are expected to gain; empty at the end of the stage."""
        if state.stages[self._stage].finished_at:
            return ""
        return gain_line(state, self._stage, self._cluster)

    def _print_ended(self, state: StudyState, tally: Tally) -> None:
        """Print a line for every trial that ended since the last call, and offer once to stop there."""
        if self._printed is None:
            self._printed = len(tally.ended)
        for trial in islice(tally.ended, self._printed, None):
            if self._printed and trial.role != tally.ended[self._printed - 1].role == GRID:
                self._console.print(_COMPARISON, soft_wrap=True)
            self._printed += 1
            line = _ended_line(trial, self._printed, state, self._stage)
            left = self._left(state) if trial is tally.ended[-1] else ""
            self._console.print("; ".join(filter(None, [line, left])), soft_wrap=True)
        if self._offers_stop and would_stop(state, self._stage):
            self._offers_stop = False
            self._console.print(self._gain(state), soft_wrap=True)

    def _render(self) -> Group:
        state = self._state
        if state is None or not self._stage:
            return Group(Text("starting"))
        tally, total = state.tally(self._stage), state.stages[self._stage].trials
        counts = tally.statuses
        stopped, done = counts[TrialStatus.STOPPED], len(tally.ended) + _part_done(tally, self._epochs)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"stage {self._stage}", style="bold"),
            ProgressBar(total=total, completed=done, width=30),
            f"{counts[TrialStatus.FINISHED]}/{total} finished",
            *([f"{stopped} stopped early"] if stopped else []),
            f"{counts[TrialStatus.RUNNING]} running",
            Text(f"{counts[TrialStatus.FAILED]} failed", style="red" if counts[TrialStatus.FAILED] else ""),
            self._clock.left(total - done, self._epochs),
        )
        start = state.stages[self._stage].start
        best = [Text(f"best  {best_line(each, state, start)}") for each in state.ranked(self._stage, 1)]
        running = [
            Text(_running_line(trial, self._epochs, state), style="dim")
            for trial in list(tally.unfinished.values())
            if trial.status is TrialStatus.RUNNING
        ]
        remarks = [self._left(state), self._gain(state)]
        return Group(head, *(Text(remark) for remark in remarks if remark), *best, *running)


def _shown_stage(state: StudyState) -> StageState:
    """Return the stage that runs: the latest unless an earlier one gets more trials."""
    stages = list(state.stages.values())
    return next((stage for stage in stages if stage.finished_at is None), stages[-1])


def _part_done(tally: Tally, epochs: int) -> float:
    """Return the work done in unfinished trials, in units of whole trials."""
    return sum(trial.epochs_trained / epochs for trial in list(tally.unfinished.values()))


class _Clock:
    """Speed of the trials in this process, from the start of the first training to the latest validation."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._validated = 0.0
        """Moment of the latest validation."""
        self._epochs_before = 0
        self._epochs_now = 0

    def update(self, tally: Tally) -> None:
        """Count the epochs of all trials."""
        now = time.monotonic()
        if self._started is None:
            if not tally.statuses[TrialStatus.RUNNING]:
                return
            self._started, self._epochs_before, self._epochs_now = now, tally.epochs, tally.epochs
        if tally.epochs == self._epochs_now:
            return
        if self._epochs_now == self._epochs_before:  # a process takes seconds before it trains
            self._started = max(self._started, now - _longest_training_s(tally))
        self._epochs_now, self._validated = tally.epochs, now

    def left(self, trials: float, epochs: int) -> str:
        """Estimate the time of the remaining ``trials`` from the epochs trained in this process."""
        done = self._epochs_now - self._epochs_before
        if self._started is None:
            return "starting"
        if done <= 0:
            return "estimating the time left"
        whole_s = (self._validated - self._started) * trials * epochs / done
        return f"about {duration(whole_s - (time.monotonic() - self._validated))} left"


def _longest_training_s(tally: Tally) -> float:
    """Return for how long the unfinished trials have trained; infinite if none of them is left."""
    return max((trial.spent_s * trial.together for trial in tally.unfinished.values()), default=math.inf)


def _running_line(trial: TrialState, epochs: int, state: StudyState) -> str:
    if not trial.reports:
        return f"{trial.trial}  training"
    epoch = max(trial.reports)
    metrics, score = trial.reports[epoch].metrics, score_of(state.created)
    named = score.describe_named(metrics[score.metric], metrics, classes_of(state.created))
    rates = [
        f"{rate:.0f} {name.removesuffix(_PER_S)}/s" for name, rate in metrics.items() if name.endswith(_PER_S)
    ]
    return "  ".join([f"{trial.trial}  epoch {epoch}/{epochs}  {named}", *rates])


def _ended_line(trial: TrialState, ended: int, state: StudyState, stage: str) -> str:
    place = f"[{ended}/{state.stages[stage].trials}]"
    if trial.status is TrialStatus.FAILED:
        return f"{place} {trial.trial} failed: {trial.reason}"
    if trial.score is None:
        return f"{place} {trial.trial} stopped before its first validation ({trial.reason})"
    configuration = state.tally(stage).ranking.of(trial)
    seeds, start = len(configuration.scores), state.stages[stage].start
    parts = [f"{best_line(Configuration((trial,)), state, start)} in {duration(trial.duration_s or 0.0)}"]
    if trial.status is TrialStatus.STOPPED:
        why = f" ({trial.reason})" if trial.reason else ""
        parts.append(f"stopped early at epoch {trial.epochs_trained}{why}")
    if seeds > 1:
        parts.append(f"mean {mean_with_interval(configuration)} (95 %) over {seeds} seeds")
    best = state.ranked(stage, 1)
    is_best = bool(best) and best[0].name == configuration.name
    follows_grid = trial.role != state.tally(stage).ended[0].role == GRID
    mark = " (best of the comparison so far)" if follows_grid else " (best so far)"
    return f"{place} {', '.join(parts)}{mark if is_best else ''}"
