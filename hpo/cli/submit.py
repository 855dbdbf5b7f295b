"""``hpo submit``: run a command on a Ray cluster, follow it and stop it."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.tasks.base.places import is_uri, place_of
from model.errors import ConfigError
from model.shell import shell_line

if TYPE_CHECKING:
    from hpo.schedule.jobs import Jobs

_SUBMITTED = ("run", "resume")


def submit(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- run|resume ...]", help="Command to run on the cluster.")
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="URL", help="Address of the dashboard on the cluster's head node.")
    ] = "http://127.0.0.1:8265",
    task: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE",
            help="Module with your own task, which is sent to the cluster to continue a study of this task.",
        ),
    ] = None,
    attach: Annotated[
        str | None, typer.Option(metavar="ID", help="Follow the output of an earlier job.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="ID", help="Stop a job, as Ctrl-C stops a local study.")
    ] = None,
    list_jobs: Annotated[bool, typer.Option("--list", help="List the jobs of the cluster.")] = False,
) -> None:
    """Run a study as a job on a Ray cluster.

    The command follows the output of the job. Ctrl-C stops following; the job continues.

    Example: hpo submit --address http://HOST:8265 -- run bayes --features resnet --concurrent 8

    The command sends the code, the study file, and the module or package of its task with your files that it
    imports: those that end in .py, of a package also .toml. It sends no data, studies or secrets.
    HPO_RUNS, HPO_CACHE and HPO_DATA, set here or on the nodes, name folders that every node can read.
    """
    from hpo.schedule.jobs import Jobs

    if sum((bool(command), bool(attach), bool(stop), list_jobs)) != 1:
        raise ConfigError("expected exactly one of: a command after --, --attach ID, --stop ID, --list")
    if command and command[0] not in _SUBMITTED:
        raise ConfigError(f"only run and resume can be submitted, got {command[0]!r}")
    _refuse_files(command or [])
    _refuse_open_secrets(command or [])
    jobs = Jobs(address)
    if list_jobs:
        _show(jobs)
    elif stop:
        typer.echo(f"{stop} {jobs.stop(stop).lower()}")
    elif attach:
        _follow(jobs, attach)
    elif command:
        _follow(jobs, jobs.submit(command, task=task))


def _refuse_files(command: list[str]) -> None:
    """Refuse options with a file or folder of this machine, which the cluster would not get."""
    for option, file in _values(command, "--try"):
        raise ConfigError(
            f"the file of {option} is not sent to the cluster: {file}",
            fix="write its points as [[stages.bayes.try]] into the file of --study-file, which is sent",
        )
    for option, source in _values(command, "--from"):
        if Path(source).is_file():
            raise ConfigError(
                f"the file of {option} is not sent to the cluster: {source}",
                fix=f"give {option} paper, a study or an MLflow run, which the cluster can read",
            )

    for option, place in _values(command, "--data"):
        if not is_uri(place) and not place.startswith(("/", "~")):
            raise ConfigError(
                f"{option} {place} is relative to a folder of this machine, but a job has its own working "
                "directory",
                fix="give the whole path, as the nodes of the cluster see it",
            )


def _values(command: list[str], option: str) -> list[tuple[str, str]]:
    """Return an option with each value that a command gives it."""
    given = [after for word, after in pairwise(command) if word == option]
    given += [word.removeprefix(f"{option}=") for word in command if word.startswith(f"{option}=")]
    return [(option, value) for value in given]


def _refuse_open_secrets(command: list[str]) -> None:
    """Refuse secrets in the command of a job, which all users of a cluster can read."""
    from hpo.config.notify import is_reference  # keeps pydantic out of --help

    if not all(is_reference(address) for _, address in _values(command, "--notify")):
        raise ConfigError(
            "the command of a job can be read by everybody on the cluster, the address of --notify too",
            fix="set a variable to the address on the nodes, and give its name: --notify '$NAME'",
        )
    for _, place in _values(command, "--data-uri") + _values(command, "--data"):
        place_of(place)


def _follow(jobs: "Jobs", job: str) -> None:
    follow_command = shell_line("hpo", "submit", "--address", jobs.address, "--attach", job)
    typer.echo(f"job {job}; to follow it again: {follow_command}", err=True)
    try:
        code = jobs.follow(
            job,
            write=lambda text: typer.echo(text, nl=False),
            lost=lambda why: typer.echo(f"{why}; trying again, the job continues", err=True),
        )
    except KeyboardInterrupt:
        typer.echo(f"the job continues; to follow it: {follow_command}", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def _show(jobs: "Jobs") -> None:
    from rich.table import Table

    from hpo.report.console import print_table

    table = Table("job", "status", "started (UTC)", "command", box=None, pad_edge=False, header_style="bold")
    for job in jobs.all():
        started = f"{job.started:%Y-%m-%d %H:%M:%S}" if job.started else ""
        table.add_row(job.job, job.status.lower(), started, job.command)
    print_table(table)
