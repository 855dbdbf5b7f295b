"""Command ``hpo stop``."""

from pathlib import Path
from typing import Annotated

import typer

from model.errors import UserError
from model.shell import shell_line


def stop(
    name: Annotated[
        str,
        typer.Argument(metavar="STUDY[/TRIAL]", help="Running study, or trial such as handball/bayes-0003."),
    ],
) -> None:
    """Stop a running trial or study. Works from any machine that shares the studies folder.

    A trial stops immediately, even between validations. It keeps the score and the network of its best
    validation; without one, it has no score. The study continues with other trials. A study stops as after
    Ctrl-C; hpo resume continues it. The command waits for the stop. If you interrupt it with Ctrl-C, the
    request remains in effect.
    """
    from hpo.config.environment import read_environment
    from hpo.journal.results import stored_state
    from hpo.report.trial_tables import condition
    from hpo.study.folders import chosen_study
    from hpo.study.running.stop_requests import request_stop_of_study, wait_for_end_of_study

    study, _, trial = name.partition("/")
    folder = chosen_study(read_environment(), study)
    if trial:
        _stop_trial(folder, trial)
        return
    request_stop_of_study(folder)
    typer.echo(f"study {study} is stopping", err=True)
    wait_for_end_of_study(folder)
    # It may also have ended by itself.
    typer.echo(f"study {study}: {condition(stored_state(folder), None)}")


def _stop_trial(folder: Path, name: str) -> None:
    from hpo.journal.trial_state import TrialStatus
    from hpo.study.running.stop_requests import request_stop_of_trial, wait_for_end_of_trial

    request_stop_of_trial(folder, name)
    typer.echo(f"{folder.name}/{name} is stopping", err=True)
    trial = wait_for_end_of_trial(folder, name)
    if not trial.has_ended:
        raise UserError(
            f"study {folder.name!r} stopped before it ended {name}",
            fix=f"continue it with {shell_line('hpo', 'resume', folder.name)}, which ends the trial",
        )
    if trial.status is not TrialStatus.STOPPED:
        typer.echo(f"{folder.name}/{name} ended by itself before it was stopped: {trial.status}")
        return
    outcome = "before its first validation, without a score"
    if trial.score is not None:
        best = f"score {trial.score:.4f} of epoch {trial.best_epoch}"
        outcome = f"at epoch {trial.epochs_trained} with {best}"
    shown = shell_line("hpo", "show", f"{folder.name}/{name}")
    typer.echo(f"{folder.name}/{name} stopped {outcome}; show it with: {shown}")
