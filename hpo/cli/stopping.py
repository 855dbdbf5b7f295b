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
    """Stop a running trial or study, also from another machine.

    A trial ends at its next validation with the score and the network of its best one, and the study
    continues with other trials. A study stops as after Ctrl-C; hpo resume continues it. The command waits
    until that has happened; after Ctrl-C here, the request still stands.
    """
    from hpo.config.environment import read_environment
    from hpo.study.folders import chosen_study
    from hpo.study.stop_requests import request_stop_of_study, wait_for_end_of_study

    study, _, trial = name.partition("/")
    folder = chosen_study(read_environment(), study)
    if trial:
        _stop_trial(folder, trial)
        return
    request_stop_of_study(folder)
    typer.echo(f"study {study} is stopping", err=True)
    wait_for_end_of_study(folder)
    typer.echo(f"study {study} has stopped; continue with: {shell_line('hpo', 'resume', study)}")


def _stop_trial(folder: Path, name: str) -> None:
    from hpo.journal.results import TrialStatus
    from hpo.study.stop_requests import request_stop_of_trial, wait_for_end_of_trial

    request_stop_of_trial(folder, name)
    typer.echo(f"{folder.name}/{name} ends at its next validation", err=True)
    trial = wait_for_end_of_trial(folder, name)
    if not trial.has_ended:
        raise UserError(
            f"study {folder.name!r} stopped before the next validation of {name}, which ends the trial",
            fix=f"continue it with {shell_line('hpo', 'resume', folder.name)}",
        )
    if trial.status is not TrialStatus.STOPPED:
        typer.echo(f"{folder.name}/{name} ended by itself before it was stopped: {trial.status}")
        return
    typer.echo(
        f"{folder.name}/{name} stopped at epoch {trial.epochs_trained} with score {trial.score:.4f} of epoch "
        f"{trial.best_epoch}; show it with: {shell_line('hpo', 'show', f'{folder.name}/{name}')}"
    )
