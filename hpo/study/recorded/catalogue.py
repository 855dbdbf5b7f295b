"""All studies of a runs folder: list, rename, delete, and clean."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import StudyRenamed
from hpo.journal.journal import Journal, stored_creation, writer_of
from hpo.journal.results import StudyState, stored_state
from hpo.report.catalogue_tables import Entry
from hpo.study.folders import known_studies, make_free, refuse_copy, studies_folder, study_folder
from hpo.study.plan import plan_of
from hpo.tasks.base.found import found_configuration
from hpo.tasks.base.registry import score_of
from hpo.trial.files import remove_training_files, trial_folder
from model.errors import UserError

UNREADABLE = "unreadable"
"""Condition of a study whose journal cannot be read."""
_DELETED = ".deleted"
"""End of the hidden name of a folder that is being deleted."""


def listed(environment: Environment) -> list[Entry]:
    """Return all studies, starting with the one that changed last; each with the fault that it may have."""
    return [entry_of(study_folder(environment, name)) for name in known_studies(environment)]


def rename_study(name: str, new_name: str, environment: Environment) -> None:
    """Give a study another name; MLflow gets it with the next record.

    Raises:
        UserError: The study does not exist or is running, its journal is damaged, its task is missing, the
            new name is taken, or the folder is a copy of another study's.
    """
    source, target = study_folder(environment, name), study_folder(environment, new_name)
    make_free(environment, new_name)
    with Journal.open(source) as journal:
        # A damaged journal and a missing task are found before anything moves.
        plan_of(source, stored_state(source).created)
        refuse_copy(source, StudyState.replay(stored_creation(source)).created.study)
        source.rename(target)
        journal.folder = target
        journal.append(StudyRenamed(study=new_name))


def delete_study(name: str, environment: Environment, *, before: Callable[[], object]) -> None:
    """Delete the folder of a study with everything in it.

    Args:
        name: Name of the study.
        environment: Names the folder of studies.
        before: Called when it is certain that the study is not running; the study stays if it fails.

    Raises:
        UserError: The study does not exist or is running.
    """
    _remove_half_deleted(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        before()
        # First under a hidden name: a study of which a kill left a part would be taken for a whole one.
        hidden = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=_DELETED, dir=journal.folder.parent))
        journal.folder.replace(hidden)
        with contextlib.suppress(FileNotFoundError):  # another process deletes the rest
            shutil.rmtree(hidden)


def _remove_half_deleted(environment: Environment) -> None:
    """Remove what is left of studies whose deletion was interrupted."""
    for folder in studies_folder(environment).glob(f".*{_DELETED}"):
        if writer_of(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Studies without the checkpoints that nothing needs."""

    freed_bytes: int
    faults: Mapping[str, str]
    """Study that could not be cleaned -> why."""


def clean_studies(names: Sequence[str], environment: Environment) -> Cleaned:
    """Delete the checkpoints of trials that have ended, from which nothing resumes.

    Their best networks stay. Running studies are included: a trial that has ended does not continue, and a
    failed one that is trained again starts from its beginning. A study whose journal is damaged stays as it
    is.
    """
    freed_bytes, faults = 0, {}
    for name in names:
        folder = study_folder(environment, name)
        try:
            state = stored_state(folder)
        except UserError as error:
            faults[name] = error.message
            continue
        ended = [trial.trial for trial in state.trials.values() if trial.has_ended]
        freed_bytes += sum(remove_training_files(trial_folder(folder, trial)) for trial in ended)
    return Cleaned(freed_bytes, faults)


def size_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a running trial replaces its checkpoints
            total += file.stat().st_size if file.is_file() else 0
    return total


def entry_of(folder: Path) -> Entry:
    """Return what the list of studies says about one of them, with the fault that it may have."""
    try:
        state = stored_state(folder)
    except UserError as error:
        return _unreadable(folder, error)
    try:
        score, found, fault = score_of(state.created).label, found_configuration(state), ""
    except UserError as error:  # its task is missing
        score, found, fault = "", None, error.message
    return Entry(
        name=folder.name,
        task=state.created.plan["study"]["task"],
        dataset=state.created.plan["dataset"],
        stage=next(reversed(state.stages), ""),
        condition=_condition(state, running=writer_of(folder) is not None),
        score=score,
        best=found.configuration.mean if found else None,
        trials=len(state.trials),
        changed_at=state.updated_at,
        size_bytes=size_bytes(folder),
        fault=fault,
    )


def _unreadable(folder: Path, error: UserError) -> Entry:
    return Entry(
        name=folder.name,
        task="",
        dataset="",
        stage="",
        condition=UNREADABLE,
        score="",
        best=None,
        trials=0,
        changed_at=datetime.fromtimestamp(folder.stat().st_mtime, UTC),
        size_bytes=size_bytes(folder),
        fault=error.message,
    )


def _condition(state: StudyState, *, running: bool) -> str:
    if running:
        return "running"
    return "complete" if state.is_complete else "stopped"
