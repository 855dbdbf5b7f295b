"""Output of ``run`` and ``resume`` while a study runs and when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
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
"""Number of trials in the table of a search."""


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


def finish(end: "SessionEnd", plan: "StudyPlan", name: str) -> None:
    """Print the results and the next command."""
    from hpo.report.console import standard_error

    console = standard_error()
    if end.tracking.events_left:
        console.print(
            f"{end.tracking.events_left} events are missing in MLflow ({end.tracking.failure}); nothing "
            f"is lost; record them with: {shell_line('hpo', 'sync', name)}",
            soft_wrap=True,
        )
    if not end.complete:
        console.print(f"stopped; resume with: {shell_line('hpo', 'resume', name)}", soft_wrap=True)
        raise typer.Exit(130)
    if not end.state.best(1):
        reasons = [trial.reason for trial in end.state.trials.values() if trial.reason]
        console.print(f"every trial failed; the first reason: {reasons[0] if reasons else 'unknown'}")
        raise typer.Exit(1)
    show_stages(end.state, plan)
    status = shell_line("hpo", "status", name)
    console.print(f"\nnext: {_next_step(end.state, plan, name)} | {status} | hpo ui", soft_wrap=True)


def show_stages(state: "StudyState", plan: "StudyPlan", *, top: int = SHOWN) -> None:
    """Print the results of all stages; of a search, its ``top`` best trials."""
    from hpo.report.console import print_table
    from hpo.report.trial_tables import importance_line
    from hpo.study.edges import edge_lines
    from hpo.study.results import stage_importance, stage_results

    for name in state.stages:
        tables = stage_results(plan, state, name, top=top)
        if tables:
            typer.echo("Best trials" if name == "bayes" else f"\nStage {name}")
        for table in tables:
            print_table(table)
        if shares := stage_importance(state, name):
            typer.echo(importance_line(shares))
    for line in edge_lines(plan, state):
        typer.echo(line)


def _next_step(state: "StudyState", plan: "StudyPlan", name: str) -> str:
    """Return the command of the next stage in the task's procedure."""
    for stage in plan.task.procedure:
        if stage not in state.stages:
            return shell_line("hpo", "run", stage, "--study", name)
    return shell_line("hpo", "best", name)
