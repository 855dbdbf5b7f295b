"""Commands for many studies and for one trial: list, show, export, rename, delete, clean."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import ConfigError, UserError
from model.files import write_whole
from model.shell import shell_line
from model.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from hpo.config.environment import Environment
    from hpo.journal.results import StudyState

_NAME = typer.Argument(metavar="STUDY", help="Name of the study.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def list_studies(as_json: AsJson = False) -> None:
    """List all studies.

    The list shows task, data, newest stage, state, best score, size and time of the last change; the study
    that changed last comes first.
    """
    from hpo.config.environment import read_environment
    from hpo.report.catalogue_tables import studies_table
    from hpo.report.console import print_table
    from hpo.study.folders import studies_folder
    from hpo.study.recorded.catalogue import listed

    environment = read_environment()
    entries = listed(environment)
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2, default=str))
    elif entries:
        print_table(studies_table(entries))
        for entry in entries:
            if entry.fault:
                typer.echo(f"{entry.name}: {entry.fault}", err=True)
    else:
        typer.echo(f"there is no study in {studies_folder(environment)}")


def show(
    trial: Annotated[str, typer.Argument(metavar="STUDY/TRIAL", help="Trial, such as handball/bayes-0003.")],
    as_json: AsJson = False,
) -> None:
    """Show everything about one trial.

    Prints parameters, score, all validations, and the places of its weights, settings and traceback.
    """
    from hpo.journal.journal import writer_of
    from hpo.report.catalogue_tables import trial_lines, validations_table
    from hpo.report.console import print_table
    from hpo.study.recorded.records import trial_files, trial_rows, validation_rows

    study, _, name = trial.partition("/")
    if not name:
        raise UserError(f"expected a study and one of its trials, such as handball/bayes-0003, got {trial!r}")
    folder, state = _opened(study)
    if name not in state.trials:
        raise UserError(f"study {study!r} has no trial {name!r}", known=state.names_of_trials())
    files = trial_files(folder, name)
    if as_json:
        (row,) = (row for row in trial_rows(state, folder) if row["trial"] == name)
        validations = [row for row in validation_rows(state) if row["trial"] == name]
        record = {**row, "files": files, "validations": validations}
        typer.echo(json.dumps(record, indent=2, default=str))
        return
    is_running = writer_of(folder) is not None
    typer.echo("\n".join(trial_lines(state.trials[name], state, files, is_running=is_running)))
    if state.trials[name].reports:
        typer.echo("\nvalidations")
        print_table(validations_table(state.trials[name]))


def export(
    study: Annotated[str, _NAME],
    to: Annotated[Path, typer.Option(metavar="FILE", help="File to write, ending in .csv or .parquet.")],
    validations: Annotated[
        bool, typer.Option("--validations", help="Write one row per validation, not one per trial.")
    ] = False,
) -> None:
    """Write all trials of a study to a table, one row per trial.

    Failed, stopped and running trials are included. In a Parquet file, a column of texts and numbers has
    texts only.
    """
    from hpo.study.recorded.records import trial_table, validation_table

    if to.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"expected --to FILE ending in .csv or .parquet, got {str(to)!r}")
    folder, state = _opened(study)
    frame = validation_table(state) if validations else trial_table(state, folder)
    content = frame.to_csv(index=False).encode() if to.suffix == ".csv" else _parquet(frame)
    to.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to, content)
    typer.echo(f"{counted(len(frame), 'validation' if validations else 'trial')} written to {to}")


def _parquet(frame: "pd.DataFrame") -> bytes:
    """Return a Parquet file; its columns have one type each, so numbers among texts become texts."""
    for name in frame.columns:
        kinds = {isinstance(cell, str) for cell in frame[name].dropna()}
        if kinds == {True, False}:
            frame[name] = frame[name].map(str, na_action="ignore")
    content: bytes = frame.to_parquet(index=False)
    return content


def rename(
    study: Annotated[str, _NAME],
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="New name of the study.")],
) -> None:
    """Give a study another name, also in MLflow."""
    from hpo.api.watching import say
    from hpo.config.environment import read_environment
    from hpo.study.folders import REPORT, chosen_study, study_folder
    from hpo.study.recorded.catalogue import rename_study
    from hpo.study.running.session import sync_study
    from hpo.tracking.follower import remarks_to

    environment = read_environment()
    rename_study(chosen_study(environment, study).name, new_name, environment)
    with remarks_to(say):
        report = sync_study(new_name, environment)
    typer.echo(f"study {study} is now {new_name}")
    if (study_folder(environment, new_name) / REPORT).is_file():
        again = shell_line("hpo", "report", new_name)
        typer.echo(f"its page still has the commands of {study}; write it again with: {again}")
    if report.events_left:
        typer.echo(
            f"MLflow does not have the new name yet ({report.failure}); send it with: "
            f"{shell_line('hpo', 'sync', new_name)}",
            err=True,
        )


def delete(
    study: Annotated[str, _NAME],
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete a study with its networks, also in MLflow.

    Asks before it deletes.
    """
    from hpo.config.environment import read_environment, without_passwords
    from hpo.report.catalogue_tables import size
    from hpo.study.folders import chosen_study, identity_of, twins_of
    from hpo.study.recorded.catalogue import UNREADABLE, delete_study, entry_of
    from hpo.tracking.deletion import delete_experiment

    environment = read_environment()
    folder = chosen_study(environment, study)
    identity, entry = identity_of(folder), entry_of(folder)
    trials = "an unreadable journal" if entry.condition == UNREADABLE else counted(entry.trials, "trial")
    content = f"study {study}: {trials}, {size(entry.size_bytes)} in {folder}"
    if not yes:
        _ask_whether_to_delete(content)

    def delete_records() -> None:
        if twins := twins_of(folder):
            typer.echo(f"MLflow keeps its records, which are also those of study {twins[0]}", err=True)
        elif identity and not delete_experiment(environment, identity):
            store = without_passwords(environment.tracking_uri)
            typer.echo(f"MLflow at {store} has no records of this study; other stores keep theirs", err=True)

    delete_study(study, environment, before=delete_records)
    typer.echo(f"deleted {content}")


def clean(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Name of the study. Default: all studies.")
    ] = None,
) -> None:
    """Delete checkpoints that nothing needs.

    These are the checkpoints of trials that have ended; their best networks stay.
    """
    from hpo.config.environment import read_environment
    from hpo.report.catalogue_tables import size
    from hpo.study.folders import chosen_study, known_studies
    from hpo.study.recorded.catalogue import clean_studies

    environment = read_environment()
    names = known_studies(environment) if study is None else [chosen_study(environment, study).name]
    cleaned = clean_studies(names, environment)
    count = len(names) - len(cleaned.faults)
    typer.echo(f"{size(cleaned.freed_bytes)} freed in {counted(count, 'study', 'studies')}")
    if cleaned.faults:
        error = UserError(f"{counted(len(cleaned.faults), 'study', 'studies')} could not be cleaned")
        error.details.update(cleaned.faults)  # not as keywords: a study may have any name
        raise error


def _opened(study: str, environment: "Environment | None" = None) -> "tuple[Path, StudyState]":
    from hpo.config.environment import read_environment
    from hpo.journal.results import stored_state
    from hpo.study.folders import chosen_study

    folder = chosen_study(environment or read_environment(), study)
    return folder, stored_state(folder)


def _ask_whether_to_delete(content: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"cannot ask for confirmation to delete {content}: standard input is not a terminal",
            fix="add --yes to delete it",
        )
    typer.confirm(f"delete {content}?", abort=True)
