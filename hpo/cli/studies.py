"""Commands for existing studies: resume, sync, status, best, report, ui."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hpo.api.watching import ReadingProgress, say
from hpo.cli.run_options import Hours, MovedData, Notify, RayAddress, Until
from model.shell import shell_line

_STUDY = typer.Argument(metavar="STUDY", help="Name of the study. Default: the one that changed last.")


def resume(
    study: Annotated[str | None, _STUDY] = None,
    fork: Annotated[
        str | None,
        typer.Option(
            metavar="NEW",
            help="Copy the study to the name NEW and resume the copy, with the present code and data.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Train failed trials again from their beginning, after you have fixed the cause.",
        ),
    ] = False,
    data: MovedData = None,
    hours: Hours = None,
    until: Until = None,
    ray_address: RayAddress = None,
    notify: Notify = None,
) -> None:
    """Resume a stopped study.

    Finished trials keep their results; unfinished ones continue from their checkpoints. A budget that was
    given earlier still holds; --hours or --until replaces it.
    """
    from hpo.api.resuming import resume as resume_study
    from hpo.cli.running import finish
    from hpo.config.environment import read_environment
    from hpo.study.folders import chosen_study
    from hpo.study.running.budget import typed_budget
    from hpo.tasks.base.places import place_of

    budget = typed_budget(hours, until)
    environment = read_environment().on_cluster(ray_address)
    folder = chosen_study(environment, study)
    ran = resume_study(
        folder,
        environment,
        fork=fork,
        data=place_of(data) if data else None,
        retry_failed=retry_failed,
        budget=budget,
        notify=notify or (),
    )
    finish(ran.end, ran.plan, ran.folder, ran.cluster)


def sync(study: Annotated[str | None, _STUDY] = None) -> None:
    """Send missing records of a study to MLflow.

    Records are missing if MLflow was unavailable while the study ran.
    """
    from hpo.config.environment import read_environment, without_passwords
    from hpo.study.folders import chosen_study
    from hpo.study.running.session import sync_study
    from hpo.tracking.follower import remarks_to
    from model.errors import UserError

    environment = read_environment()
    name = chosen_study(environment, study).name
    with remarks_to(say):
        report = sync_study(name, environment)
    if report.events_left:
        raise UserError(
            f"{report.events_left} events of study {name!r} are still missing in MLflow: {report.failure}",
            looked_for=without_passwords(environment.tracking_uri),
            fix="nothing is lost; make MLflow available, then send them with: "
            f"{shell_line('hpo', 'sync', name)}",
        )
    for refused in report.refused:
        typer.echo(f"not recorded in MLflow: {refused}", err=True)
    typer.echo(f"study {name}: MLflow has all {'other ' if report.refused else ''}records")


def status(study: Annotated[str | None, _STUDY] = None) -> None:
    """Show the progress of a study.

    Prints its state, the trials of every stage, the best trials, failures and notes.
    """
    from hpo.config.environment import read_environment
    from hpo.journal.journal import writer_of
    from hpo.journal.results import stored_state
    from hpo.report.trial_tables import status_lines
    from hpo.study.folders import chosen_study
    from hpo.study.recorded.records import failures

    folder = chosen_study(read_environment(), study)
    state = stored_state(folder)
    tracebacks = [failure["traceback"] for failure in failures(state, folder) if failure["traceback"]]
    typer.echo("\n".join(status_lines(folder.name, state, writer=writer_of(folder))))
    if tracebacks:
        typer.echo(f"traceback of the latest failure: {tracebacks[-1]}")


def best(
    study: Annotated[str | None, _STUDY] = None,
    top: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="Number of configurations to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the configurations as JSON.")] = False,
) -> None:
    """Show the best configurations and results of a study.

    The best configurations of the search come first, in the order of their expected scores once it has ended
    and of their mean scores over seeds before; then the results of the other stages.
    """
    from hpo.cli.running import show_stages
    from hpo.config.environment import read_environment
    from hpo.config.stages import SEARCH
    from hpo.journal.results import stored_state
    from hpo.report.trial_tables import configuration_record, found_record
    from hpo.space.symbols import by_symbol
    from hpo.study.folders import chosen_study
    from hpo.study.plan import plan_of
    from hpo.study.recorded.edges import edge_record, edges
    from hpo.study.recorded.records import failures
    from hpo.study.recorded.results import stage_importance
    from hpo.study.recorded.verdict import verdict
    from hpo.tasks.base.registry import score_of

    folder = chosen_study(read_environment(), study)
    state = stored_state(folder)
    plan = plan_of(folder, state.created)
    if as_json:
        metric = score_of(state.created).metric
        best = [each for stage in list(state.stages)[:1] for each in state.ranked(stage, top)]
        record = {
            "study": folder.name,
            **found_record(state, score=metric),
            "verdict": found.sentence if (found := verdict(plan, state)) else None,
            "best": [configuration_record(configuration, score=metric) for configuration in best],
            "failed": failures(state, folder),
            "importance": by_symbol(stage_importance(state, SEARCH, folder)),
            "edges": [edge_record(edge) for edge in edges(plan, state)],
        }
        typer.echo(json.dumps(record, indent=2, default=str))
    elif state.has_score:
        show_stages(state, plan, folder, top=top)
    else:
        yet = "" if state.is_complete else " yet"
        typer.echo(f"study {folder.name} has no trial with a score{yet}", err=True)
        raise typer.Exit(1)


def report(
    study: Annotated[str | None, _STUDY] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write. Default: report.html in the study's folder."),
    ] = None,
    analyse: Annotated[
        bool,
        typer.Option(
            "--analyse",
            help="First analyse the best trial, as hpo analyse does: on the test split if the stage final "
            "has opened it, else on the validation split.",
        ),
    ] = False,
    data: MovedData = None,
) -> None:
    """Write an HTML page about a study.

    The page shows settings, data, stages with tables and figures, failures, cost, and commands that run the
    study again. It needs no network connection. A copy is stored in MLflow with the study's newest stage.
    Texts for a paper (verdict, table, methods) are written beside it: paper.md and paper.tex in the study's
    folder, a.paper.md and a.paper.tex beside --to a.html.
    """
    from hpo.api.reporting import write_report
    from hpo.config.environment import read_environment
    from hpo.journal.results import stored_state
    from hpo.spotting.analysis_files import results_folder
    from hpo.study.folders import chosen_study
    from hpo.study.plan import plan_of
    from hpo.study.recorded.verdict import verdict
    from hpo.study.running.session import move_data
    from hpo.tasks.base.places import place_of
    from hpo.tracking.follower import remarks_to

    environment = read_environment()
    folder = chosen_study(environment, study)
    if data:
        with ReadingProgress() as progress, remarks_to(say):
            move_data(folder.name, place_of(data), environment, progress)
    if to:
        results_folder(to.parent)  # before anything that takes long
    if analyse:
        _analyse_best(folder)
    written, state = write_report(environment, folder, to), stored_state(folder)
    typer.echo(written.page)
    if found := verdict(plan_of(folder, state.created), state):
        # Standard output is the path of the page alone, for scripts.
        typer.echo(f"for a paper: {' and '.join(map(str, written.texts))}", err=True)
        typer.echo(f"verdict: {found.sentence}", err=True)


def _analyse_best(folder: Path) -> None:
    """Analyse the trial that represents the study; the results are also in the study's folder."""
    from hpo.cli.analysing import analyse
    from hpo.journal.results import stored_state
    from hpo.page.facts import representative_trials
    from hpo.study.plan import plan_of
    from hpo.study.reopening import placed
    from model.errors import UserError

    state = stored_state(folder)
    plan = plan_of(folder, state.created)
    placed(plan, plan.data, folder.name)
    trials = representative_trials(state)
    if not trials:
        raise UserError(
            f"study {folder.name!r} has no trial with a score yet, so there is nothing to analyse"
        )
    split = "valid" if trials[0].tested is None else "test"
    analyse(to=folder / f"analysis-{split}", run=[f"{folder.name}/{trials[0].trial}"], split=split)


def ui(
    port: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; any other address exposes the pages to the network.",
        ),
    ] = "127.0.0.1",
) -> None:
    """Start MLflow's pages for all studies.

    Prints their address. Ctrl-C stops them.
    """
    from hpo.config.environment import read_environment, without_passwords
    from hpo.tracking.table import list_address
    from hpo.tracking.ui import serve_ui, study_tables
    from hpo.tracking.ui_addresses import local_address, other_addresses

    def show(address: str) -> None:
        typer.echo(f"MLflow UI: {list_address(without_passwords(address))}")
        others = other_addresses(host, port)
        if others and address == local_address(host, port):  # not a server that runs already
            typer.echo(f"  from other machines: {' or '.join(others)}")
        for stage, link in study_tables(address).items():
            typer.echo(f"  {stage}: {link}")

    serve_ui(read_environment(), host, port, ready=show)
