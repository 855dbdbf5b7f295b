"""What ``run`` and ``resume`` show while a study runs and when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from hpo.study.plan import StudyPlan
    from hpo.study.runner import Listener
    from hpo.study.session import SessionEnd

SHOWN = 5
"""Trials in the table at the end."""


class ReadingProgress:
    """A progress bar on standard error for what reads or writes game by game; nothing for what is instant."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` games are done."""
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
def watch(plan: "StudyPlan", name: str) -> "Iterator[Listener]":
    """Show a study's progress inside the context; gives what hears of every event."""
    from hpo.report.live import Display, standard_error

    console = standard_error()
    stage = plan.study.stages[plan.stage]
    console.print(
        f"study {name}: {stage.trials} trials of {plan.study.training.epochs} epochs on {plan.dataset} "
        f"({plan.train.games} training and {plan.valid.games} validation games), "
        f"{plan.device}, {plan.precision}",
        soft_wrap=True,
    )
    display = Display(plan.stage, epochs=plan.study.training.epochs, console=console)
    with display.shown():
        yield display.update


def finish(end: "SessionEnd", plan: "StudyPlan", name: str) -> None:
    """Print what came of it and what to type next."""
    from hpo.report.live import standard_error
    from hpo.report.tables import best_table, print_table

    console = standard_error()
    if end.tracking.events_left:
        console.print(
            f"MLflow lacks {end.tracking.events_left} events ({end.tracking.failure}); nothing is lost: "
            f"they are recorded when the study is resumed",
            soft_wrap=True,
        )
    if not end.complete:
        console.print(f"stopped; go on with: hpo resume {name}", soft_wrap=True)
        raise typer.Exit(130)
    best = end.state.best(SHOWN, stage=plan.stage)
    if not best:
        reasons = [trial.reason for trial in end.state.trials.values() if trial.reason]
        console.print(f"every trial failed; the first with: {reasons[0] if reasons else 'no reason'}")
        raise typer.Exit(1)
    print_table(best_table(best, plan.shape.classes))
    console.print(f"\nnext: hpo best {name} | hpo status {name} | hpo ui", soft_wrap=True)
