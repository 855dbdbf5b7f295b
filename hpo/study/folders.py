"""Folders of studies."""

import os
import shutil
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import StudyCreated
from hpo.journal.journal import changed_at, has_events, is_unbegun, stored_creation, writer_of
from hpo.tasks.base.places import is_uri
from model.errors import UserError
from model.shell import shell_line

REPORT = "report.html"
"""File of a study's page."""
PAPER = "paper"
"""Text after ``--from`` that means the study file's own configuration, and so can be the name of no study."""

_LONGEST_BYTES = 255
"""Longest name of a folder, in bytes, of which a letter may take up to four."""


def studies_folder(environment: Environment) -> Path:
    """Return the folder of all studies."""
    return environment.runs / "studies"


def study_folder(environment: Environment, name: str) -> Path:
    """Return the folder of one study.

    Raises:
        UserError: ``name`` cannot be the name of a folder.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise UserError(f"expected a plain file name as the name of a study, got {name!r:.60}")
    if (size := len(os.fsencode(name))) > _LONGEST_BYTES:
        raise UserError(
            f"expected a name of a study with {_LONGEST_BYTES} bytes at most, got {size}: {name!r:.60}",
            fix="choose a shorter name",
        )
    return studies_folder(environment) / name


def require_typeable(name: str, *, fix: str = "choose another name") -> None:
    """Check that commands can be typed with the name of a study to be made.

    Studies that have other names, from before this rule, stay usable.

    Raises:
        UserError: It begins like an option, has characters that cannot be seen, or means something else.
    """
    if name == PAPER:
        raise UserError(
            f"a study cannot be named {name!r}: after --from, it means the study file's own configuration",
            fix=fix,
        )
    if name.startswith("-") or not name.isprintable():
        raise UserError(
            "expected a name of a study without a hyphen at its start and with printable characters only, "
            f"got {name!r}",
            fix=fix,
        )


def require_free(environment: Environment, name: str, *, fix: str = "choose another name") -> None:
    """Check that a study to be made can have a name, and that no study or other folder has it.

    Raises:
        UserError: The name is taken, or commands cannot be typed with it.
    """
    require_typeable(name, fix=fix)
    folder = study_folder(environment, name)
    if has_events(folder):
        raise UserError(f"study {name!r} exists already", folder=folder, fix=fix)
    if _is_taken(folder):
        raise UserError(f"there is a folder {name!r} already, without a study", folder=folder, fix=fix)


def make_free(environment: Environment, name: str) -> None:
    """Make way for a study that gets a name: remove what a start that was killed left under it.

    Raises:
        UserError: The name is taken, or commands cannot be typed with it.
    """
    require_free(environment, name)
    folder = study_folder(environment, name)
    if writer := writer_of(folder):
        raise UserError(f"study {name!r} is being made by {writer}", folder=folder, fix="choose another name")
    shutil.rmtree(folder, ignore_errors=True)


def _is_taken(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and is_unbegun(folder))


def known_studies(environment: Environment) -> list[str]:
    """Return the names of all studies, starting with the one that changed last."""
    journals = studies_folder(environment).glob("[!.]*/journal.jsonl")
    changed = {path.parent.name: _change(path) for path in journals if has_events(path.parent)}
    return sorted(changed, key=changed.__getitem__, reverse=True)


def _change(journal: Path) -> tuple[float, bool, float]:
    """Return what sorts studies by their last change.

    Copies of a folder, and forks that have not run, end with the event of their source: forks come before it,
    copies after it.
    """
    folder, created = journal.parent, _creation_of(journal.parent)
    has_own_name = created is None or created.study == folder.name
    return changed_at(folder), has_own_name, journal.stat().st_mtime


def identity_of(folder: Path) -> str | None:
    """Return the identity under which MLflow has a study; None if its journal does not say."""
    created = _creation_of(folder)
    return created.identity if created else None


def _creation_of(folder: Path) -> StudyCreated | None:
    try:
        created = next(stored_creation(folder), None)
    except UserError:
        return None
    return created if isinstance(created, StudyCreated) else None


def twins_of(folder: Path) -> list[str]:
    """Return the studies beside that in ``folder`` that have its identity, as copies of its folder do.

    MLflow has one record of all of them.
    """
    identity = identity_of(folder)
    if identity is None:
        return []
    others = (path.parent for path in folder.parent.glob("[!.]*/journal.jsonl") if path.parent != folder)
    return sorted(other.name for other in others if identity_of(other) == identity)


def refuse_copy(folder: Path, recorded: str) -> None:
    """Check that a study is not a copy of another one's folder, whose records in MLflow it would change.

    Args:
        folder: Folder of the study.
        recorded: Name of the study in its journal.

    Raises:
        UserError: It is.
    """
    if recorded != folder.name and recorded in twins_of(folder):
        raise UserError(
            f"{folder.name!r} is a copy of the folder of study {recorded!r}: MLflow has one record of both",
            folder=folder,
            fix="copies are for reading; one that can run and be renamed is made with: "
            + shell_line("hpo", "resume", recorded, "--fork", "NEW"),
        )


def chosen_study(environment: Environment, name: str | None) -> Path:
    """Return the folder of study ``name``, or of the study that changed last if ``name`` is None.

    Raises:
        UserError: There is no such study, or no study at all.
    """
    known = known_studies(environment)
    if name is None and not known:
        raise UserError(
            "there is no study yet",
            looked_in=studies_folder(environment),
            fix="start one with: hpo run bayes",
        )
    if name is not None and name not in known:
        raise UserError(f"there is no study {name!r}", known=", ".join(known) or "none yet")
    return study_folder(environment, name or known[0])


def free_name(environment: Environment, wanted: str) -> str:
    """Return ``wanted``, with a number appended if a study already has this name."""
    number, name = 1, wanted
    while _is_taken(study_folder(environment, name)):
        number += 1
        name = f"{wanted}-{number}"
    return name


def stored_place(place: str, study: Path) -> str:
    """Return the place of data as the study in the folder ``study`` stores it.

    A folder among the studies, such as that of generated data, is stored relative to the study: both move
    together.
    """
    runs = study.parent.parent
    return os.path.relpath(place, study) if not is_uri(place) and Path(place).is_relative_to(runs) else place


def found_place(stored: str, study: Path) -> str:
    """Return the present place of data that ``stored_place`` returned."""
    return stored if is_uri(stored) else os.path.normpath(study / stored)
