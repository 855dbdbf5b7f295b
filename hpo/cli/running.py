"""Output of ``run`` and ``resume`` while a study runs and when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from model.shell import shell_line

if TYPE_CHECKING:
    from hpo.config.environment import Environment
    from hpo.journal.results import StudyState
    from hpo.study.plan import StudyPlan
    from hpo.study.runner import Listener
    from hpo.study.session import SessionEnd


SHOWN = 5
"""Number of configurations in the table of a search."""


class ReadingProgress:
    """Progress bar on standard error for work that reads or writes item by item."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` items are done."""
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


@contextmanager
def watch(plan: "StudyPlan", name: str, environment: "Environment") -> "Iterator[Listener]":
    """Show a study's progress inside the context; yield the listener that is called after every event.

    Raises:
        UserError: MLflow's store cannot be used.
    """
    from hpo.report.console import standard_error
    from hpo.report.live import Display
    from hpo.tracking.store_check import require_usable_store

    why_not_now = require_usable_store(environment)
    console = standard_error()
    left_out = plan.train.left_out + plan.valid.left_out
    missing = f", {left_out:,} left out: no feature file" if left_out else ""
    console.print(
        f"study {name} on {plan.dataset} ({plan.train.items} training and {plan.valid.items} validation "
        f"{plan.task.unit}{missing}), {plan.device}, {plan.precision}",
        soft_wrap=True,
    )
    for notice in plan.notices:
        console.print(f"note: {notice}", soft_wrap=True, markup=False, highlight=False)
    if plan.train.remote and environment.ray_address:
        console.print(f"every node that trains first downloads its copy of {plan.data}", soft_wrap=True)
    if why_not_now:
        console.print(
            f"{why_not_now}; the study runs, and is recorded when MLflow is back",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    display = Display(console)
    with display.shown():
        yield display.update


def finish(end: "SessionEnd", plan: "StudyPlan", folder: Path) -> None:
    """Print the results and the next commands of the study in ``folder``."""
    from hpo.report.console import standard_error

    console, name = standard_error(), folder.name
    if end.tracking.events_left:
        console.print(
            f"{end.tracking.events_left} events are missing in MLflow ({end.tracking.failure}); nothing "
            f"is lost; record them with: {shell_line('hpo', 'sync', name)}",
            soft_wrap=True,
        )
    if not end.complete:
        console.print(f"stopped; resume with: {shell_line('hpo', 'resume', name)}", soft_wrap=True)
        raise typer.Exit(130)
    if not end.state.has_score:
        reasons = [trial.reason for trial in end.state.trials.values() if trial.reason]
        console.print(f"every trial failed; the first reason: {reasons[0] if reasons else 'unknown'}")
        raise typer.Exit(1)
    show_stages(end.state, plan, folder)
    steps = [*next_steps(end.state, plan, folder), shell_line("hpo", "status", folder.name), "hpo ui"]
    console.print(f"\nnext: {' | '.join(steps)}", soft_wrap=True)


def show_stages(state: "StudyState", plan: "StudyPlan", folder: Path, *, top: int = SHOWN) -> None:
    """Print the results of all stages; of a search, its ``top`` best configurations.

    ``folder`` is that of the study.
    """
    from hpo.config.stages import SEARCH
    from hpo.report.console import print_table
    from hpo.report.trial_tables import importance_line
    from hpo.study.edges import edge_lines
    from hpo.study.results import stage_importance, stage_results
    from hpo.tasks.base.found import whole_configurations

    for name in state.stages:
        tables = stage_results(plan, state, name, top=top)
        if tables:
            typer.echo("Best configurations" if name == SEARCH else f"\nStage {name}")
        for table in tables:
            print_table(table)
        if shares := stage_importance(state, name, folder):
            typer.echo(importance_line(shares, scores=len(whole_configurations(state, name))))
    for line in edge_lines(plan, state):
        typer.echo(line)


def next_steps(state: "StudyState", plan: "StudyPlan", folder: Path) -> list[str]:
    """Return the commands that make sense next: the task's next stage, or report and use of the result."""
    from hpo.tasks.base.found import found_configuration
    from hpo.trial.files import BEST, trial_folder
    from model.errors import UserError

    # A stage that the user passed over is not offered again after a later one.
    done = [index for index, stage in enumerate(plan.task.procedure) if stage in state.stages]
    remaining = plan.task.procedure[max(done, default=-1) + 1 :]
    if remaining:
        return [shell_line("hpo", "run", remaining[0], "--study", folder.name)]
    commands = [shell_line("hpo", "report", folder.name)]
    if found := found_configuration(state):
        network = trial_folder(folder, found.trial.trial) / BEST
        try:
            commands += plan.task.use_of_network(network, plan.data, plan.valid)
        except (UserError, OSError, ValueError):
            pass  # the data are no longer where they were
    return commands
