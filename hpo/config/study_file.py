"""One study file: everything a person writes about a study, read and validated, whatever the task."""

import itertools
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hpo.config.faults import describe_faults
from hpo.config.sections import Section, Training
from hpo.config.stages import SearchStage, Stages
from hpo.space.space import Parameters, Space
from model.documents import MAX_TOML_BYTES, parse_toml, read_limited
from model.errors import ConfigError

_FAULTS_SHOWN = 20

StudyT = TypeVar("StudyT", bound="StudyFile")


class StudyFile(Section):
    """A whole study; a task adds tables of its own."""

    task: str
    training: Training
    hyperparameters: Section
    """What a stage may search over, and the value of each where no space says otherwise."""
    stages: Stages


def read_study_file(name_or_path: str | Path) -> tuple[dict[str, Any], str]:
    """The tables of an installed study file by its name, such as ``calf``, or of any other by its path.

    Returns:
        The tables as they stand there, and the file's name for errors.

    Raises:
        ConfigError: No such file, or not a TOML file.
    """
    text = str(name_or_path)
    if re.fullmatch(r"[A-Za-z0-9_-]+", text):
        return _read_installed(text)
    path = Path(name_or_path)
    try:
        content = read_limited(path, MAX_TOML_BYTES)
    except OSError as error:
        raise ConfigError("cannot read the study file", file=path, reason=error.strerror) from None
    except ValueError as error:  # too large, or a path that can be none
        raise ConfigError("cannot read the study file", file=path, reason=error) from None
    return _parse_toml(content, file=text), text


def validated(model: type[StudyT], document: Mapping[str, Any], *, file: str) -> StudyT:
    """The tables of a study file as a study of the kind ``model``; ``file`` says where they come from.

    Raises:
        ConfigError: Settings that cannot be used; all of them are named.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise unusable(describe_faults(error, model), file=file) from None


def unusable(faults: Mapping[str, str], *, file: str) -> ConfigError:
    """What is wrong with a study file: key -> what was expected and what came."""
    count = "1 setting" if len(faults) == 1 else f"{len(faults)} settings"
    refusal = ConfigError(f"{count} of the study file {file} cannot be used")
    # Not as keywords: a key of the file may have any name.
    refusal.details.update(itertools.islice(faults.items(), _FAULTS_SHOWN))
    return refusal


def space_of(stage: SearchStage) -> Space:
    """The space that ``stage`` searches, its parameters in the order of the task's hyperparameters.

    That order, not the one in the file, so that a study written out and read again searches the same points.
    """
    return Space(
        [stage.space[name].named(name) for name in stage.hyperparameters.model_fields if name in stage.space]
    )


def first_points(study: StudyFile, stage: SearchStage) -> list[Parameters]:
    """The study's own hyperparameters, to start a search from; none if they lie outside its space."""
    own: Parameters = {name: getattr(study.hyperparameters, name) for name in stage.space}
    return [own] if space_of(stage).contains(own) else []


def _read_installed(name: str) -> tuple[dict[str, Any], str]:
    folder = resources.files("search_spaces")
    known = sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name not in known:
        raise ConfigError(
            f"no study file is named {name!r}",
            known=", ".join(known),
            fix="take one of these, or the path of a file, such as ./mine.toml",
        )
    file = f"{name}.toml"
    return _parse_toml(folder.joinpath(file).read_bytes(), file=file), file


def _parse_toml(content: bytes, *, file: str) -> dict[str, Any]:
    try:
        return parse_toml(content)
    except ValueError as error:
        raise ConfigError("the study file is not usable TOML", file=file, reason=error) from None
