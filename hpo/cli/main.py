"""Command ``hpo``: collects all commands and turns errors into exit codes."""

import atexit
import errno
import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hpo import __version__
from hpo.api.process import prepare_process
from hpo.cli import (
    analysing,
    bench,
    catalogue,
    comparing,
    data,
    doctor,
    highlights,
    networks,
    new_data,
    run,
    stopping,
    studies,
    submit,
    videos,
)
from hpo.cli.help_sections import SectionedGroup
from hpo.schedule.worker_start import RARELY
from model.errors import UserError

app = typer.Typer(
    name="hpo",
    cls=SectionedGroup,
    help="Tune the hyperparameters of temporal action spotting, or of a task of your own, by Bayesian "
    "optimisation. Ray Tune runs the trials, MLflow records them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(run.app, name="run")
data.app.command("new")(new_data.new)
app.add_typer(data.app, name="data")
data.app.command()(videos.extract)
data.app.command()(videos.labels)
app.command()(studies.resume)
app.command()(stopping.stop)
app.command()(studies.sync)
app.command()(studies.status)
app.command()(studies.best)
app.command()(studies.report)
app.command("list")(catalogue.list_studies)
app.command()(catalogue.show)
app.command()(catalogue.export)
app.command()(catalogue.rename)
app.command()(catalogue.delete)
app.command()(catalogue.clean)
app.command()(studies.ui)
app.command()(submit.submit)
app.command()(comparing.reproduce)
app.command()(comparing.compare)
app.command()(networks.import_weights)
app.command()(networks.evaluate)
app.command()(networks.spot)
app.command()(analysing.analyse)
app.command()(highlights.highlights)
app.command()(highlights.precision)
app.command()(bench.bench)
app.command()(doctor.doctor)

_OF_THE_MACHINE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
}
"""Reasons why a file cannot be used that lie in the machine or in what was typed, never in this program."""


_OF_A_DISK = {errno.ENOSPC, errno.EDQUOT}
_REASONS = {
    errno.ENOTDIR: "expected a folder, found a file",
    errno.EEXIST: "expected a folder, found a file",
    errno.EISDIR: "expected a file, found a folder",
}
"""What these errors mean for a path that was typed."""
_FIXES = {
    errno.EROFS: "make it writable, or name other folders: HPO_RUNS for studies, HPO_CACHE for caches, "
    "HPO_DATA for data"
}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Exit codes: 0 success, 1 no result, 2 an error to fix, 130 stopped."""
    _open_closed_streams()
    prepare_process()
    # Names of files need not be text; an answer that shows one must not end in an error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    _collect_seldom()
    try:
        app()
    except KeyboardInterrupt:  # before a command runs, in which Typer handles it
        sys.exit(130)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # What fills a disk while it is written has no name.
        file = error.filename if isinstance(error.filename, str) else ""
        if error.errno not in (_OF_THE_MACHINE if file else _OF_A_DISK):
            raise
        reason = _REASONS.get(error.errno, error.strerror)
        print(": ".join(filter(None, ["error", reason, file])), file=sys.stderr)
        if fix := _FIXES.get(error.errno):
            print(f"  fix: {fix}", file=sys.stderr)
        sys.exit(2)


def _open_closed_streams() -> None:
    """Open nowhere in place of each standard stream that is closed, as after ``2>&-``: Ray needs them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Its descriptor is the lowest free one: that of the closed one.
            stream = Path(os.devnull).open(mode)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _collect_seldom() -> None:
    """Search for garbage less often, and not at the end of the process, which frees everything."""
    gc.set_threshold(*RARELY)
    atexit.register(gc.freeze)
