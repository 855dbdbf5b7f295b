"""Progress of what takes time, on a terminal, in a notebook or as lines of a log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from hpo.tasks.base.splits import counted_items
from model.shell import shell_line

if TYPE_CHECKING:
    from hpo.api.callbacks import Callback
    from hpo.api.notifying import Channel
    from hpo.config.environment import Environment
    from hpo.study.plan import StudyPlan
    from hpo.study.running.pending_stages import SessionEnd
    from hpo.study.running.runner import Listener


class ReadingProgress:
    """Progress bar on standard error for work that reads or writes item by item."""

    def __init__(self, *, speed: bool = False) -> None:
        """Create the bar.

        Args:
            speed: Whether to show the items per second.
        """
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            *([_Speed()] if speed else []),
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


def say(line: str) -> None:
    """Print a remark for the user on standard error."""
    from hpo.report.console import standard_error

    standard_error().print(line, soft_wrap=True)


class _Speed(ProgressColumn):
    """Items per second, of those that were done since the bar began."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


@contextmanager
def watch(
    plan: "StudyPlan",
    name: str,
    environment: "Environment",
    callbacks: "Sequence[Callback]" = (),
    channel: "Channel | None" = None,
) -> "Iterator[Listener]":
    """Show a study's progress inside the context; yield the listener that is called after every event.

    Notifications about it go to ``channel``.

    Raises:
        UserError: MLflow's store cannot be used.
    """
    from hpo.api.callbacks import announced
    from hpo.api.notifying import notifying
    from hpo.report.console import standard_error
    from hpo.report.notebook import display_for
    from hpo.study.folders import study_folder
    from hpo.tracking.follower import remarks_to
    from hpo.tracking.store_check import require_usable_store

    why_not_now = require_usable_store(environment)
    console = standard_error()
    console.print(
        f"study {name} on {plan.dataset}{_size_of(plan)}, {plan.device}, {plan.precision}", soft_wrap=True
    )
    for notice in plan.notices:
        console.print(f"note: {notice}", soft_wrap=True)
    if plan.train.remote and environment.ray_address:
        console.print(f"every node that trains first downloads its copy of {plan.data}", soft_wrap=True)
    if why_not_now:
        console.print(
            f"{why_not_now}; the study runs, and is recorded when MLflow is back",
            soft_wrap=True,
        )
    display = display_for(console, environment.ray_address)
    folder = study_folder(environment, name)
    with (
        remarks_to(say),
        notifying(channel, folder, say, environment.ray_address) as notices,
        display.shown(),
        announced([*callbacks, *notices], folder, display.update) as listener,
    ):
        yield listener


def tell_end(end: "SessionEnd", plan: "StudyPlan", name: str, environment: "Environment") -> None:
    """Say under which name the study ``name`` registered its network, and what is left to do for it.

    That is: records that MLflow lacks or refused, trials to resume.
    """
    from hpo.journal.continuing import resume_command
    from hpo.report.budget_lines import over_lines
    from hpo.report.console import standard_error
    from hpo.report.stage_order import outdated_lines
    from hpo.study.recorded.results import registered_final
    from hpo.study.running.pending_stages import Ending

    console, cluster = standard_error(), environment.ray_address
    if not end.tracking.events_left and (address := registered_final(plan, end.state, environment)):
        console.print(f"network registered in MLflow as {address}", soft_wrap=True)
    for refused in end.tracking.refused:
        console.print(f"not recorded in MLflow: {refused}", soft_wrap=True)
    if end.tracking.events_left:
        console.print(
            f"{end.tracking.events_left} events are missing in MLflow ({end.tracking.failure}); nothing "
            f"is lost; record them with: {shell_line('hpo', 'sync', name)}",
            soft_wrap=True,
        )
    if end.ending is Ending.COMPLETE:
        for line in outdated_lines(end.state, cluster):
            console.print(line, soft_wrap=True)
    elif end.ending is Ending.BUDGET_OVER:
        for line in over_lines(end.state, cluster):
            console.print(line, soft_wrap=True)
    elif end.ending is Ending.INTERRUPTED:
        console.print(f"stopped; resume with: {resume_command(name, cluster=cluster)}", soft_wrap=True)


def _size_of(plan: "StudyPlan") -> str:
    """Return the numbers of items in brackets; empty for a task that opens its data itself."""
    if not plan.description.reads_data:
        return ""
    left_out = plan.train.left_out + plan.valid.left_out
    missing = f", {left_out:,} left out: no feature file" if left_out else ""
    valid = counted_items(plan.valid.items, f"validation {plan.task.unit}")
    return f" ({plan.train.items:,} training and {valid}{missing})"
