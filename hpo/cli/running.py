"""Output of ``run`` and ``resume`` when a study ends."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from model.shell import shell_line

if TYPE_CHECKING:
    from hpo.api.no_score import NoScore
    from hpo.journal.results import StudyState
    from hpo.study.plan import StudyPlan
    from hpo.study.running.pending_stages import SessionEnd


SHOWN = 5
"""Number of configurations in the table of a search."""


def finish(end: "SessionEnd", plan: "StudyPlan", folder: Path, cluster: str | None = None) -> None:
    """Print the results and the next commands of the study in ``folder``.

    ``cluster`` is the address of the Ray cluster that has trained it, if one has.
    """
    from hpo.api.no_score import why_no_score
    from hpo.page.paper import write_paper
    from hpo.report.console import standard_error
    from hpo.study.recorded.results import is_final
    from hpo.study.running.pending_stages import Ending

    console = standard_error()
    match end.ending:
        case Ending.INTERRUPTED:
            raise typer.Exit(130)
        case Ending.BUDGET_OVER if not end.state.has_score:
            raise typer.Exit(1)
    if why := why_no_score(end, folder):
        _print_failures(why, end.state, folder, cluster)
        raise typer.Exit(1)
    show_stages(end.state, plan, folder, cluster=cluster)
    if finals := [name for name in end.state.stages if is_final(plan, name)]:
        files = write_paper(plan, end.state, folder) if end.state.stages[finals[-1]].finished_at else []
        for file in files:
            typer.echo(f"for a paper: {file}")
    steps = [
        *next_steps(end.state, plan, folder, cluster),
        shell_line("hpo", "status", folder.name),
        "hpo ui",
    ]
    console.print("\nnext:")
    for step in steps:
        console.print(f"  {step}", soft_wrap=True)


def _print_failures(why: "NoScore", state: "StudyState", folder: Path, cluster: str | None) -> None:
    """Print why a stage has no score, the first traceback, and how to continue."""
    from hpo.report.console import standard_error
    from hpo.report.trial_tables import retry_line
    from hpo.study.recorded.records import first_traceback

    console = standard_error()
    console.print(why.sentence, soft_wrap=True)
    if traceback := first_traceback(why.failed):
        console.print(f"traceback: {traceback}", soft_wrap=True)
    if why.failed:
        console.print(retry_line(folder.name, state, cluster), soft_wrap=True)


def show_stages(
    state: "StudyState", plan: "StudyPlan", folder: Path, *, top: int = SHOWN, cluster: str | None = None
) -> None:
    """Print the results of all stages; of a search, its ``top`` best configurations.

    ``folder`` is that of the study, ``cluster`` the address of the Ray cluster that has trained it.
    """
    from hpo.config.stages import SEARCH
    from hpo.report.console import print_table
    from hpo.report.trial_tables import importance_line
    from hpo.study.recorded.edges import edge_lines
    from hpo.study.recorded.results import stage_importance, stage_results
    from hpo.study.recorded.verdict import verdict

    for name in state.stages:
        tables = stage_results(plan, state, name, top=top)
        if tables:
            typer.echo(_best_heading(state, folder.name, top) if name == SEARCH else f"\nStage {name}")
        for table in tables:
            print_table(table)
        if shares := stage_importance(state, name, folder):
            typer.echo(importance_line(shares, scores=len(state.ranked(name))))
    if found := verdict(plan, state, cluster):
        typer.echo(f"\nverdict: {found.sentence}")
    for line in edge_lines(plan, state, cluster):
        typer.echo(line)


def _best_heading(state: "StudyState", study: str, top: int) -> str:
    """Return the heading of a search's table, with the command that shows all if it does not."""
    from hpo.config.stages import SEARCH

    count = len(state.ranked(SEARCH))
    if count <= top:
        return "Best configurations"
    every = shell_line("hpo", "best", study, "--top", str(count))
    return f"Best configurations, {top} of {count} (all: {every})"


def next_steps(state: "StudyState", plan: "StudyPlan", folder: Path, cluster: str | None = None) -> list[str]:
    """Return the commands that make sense next: the task's next stages, or report and use of the result."""
    from hpo.journal.continuing import run_command
    from hpo.tasks.base.found import found_configuration
    from hpo.trial.files import BEST, trial_folder
    from model.errors import UserError

    # A stage that the user passed over is not offered again after a later one.
    done = [index for index, stage in enumerate(plan.task.procedure) if stage in state.asked]
    remaining = plan.task.procedure[max(done, default=-1) + 1 :]
    if remaining:
        return [run_command(stage, "--study", folder.name, cluster=cluster) for stage in remaining]
    commands = [shell_line("hpo", "report", folder.name)]
    if found := found_configuration(state):
        network = trial_folder(folder, found.trial.trial) / BEST
        try:
            commands += plan.task.use_of_network(network, plan.data, plan.valid)
        except (UserError, OSError, ValueError):
            pass  # the data are no longer where they were
    return commands
