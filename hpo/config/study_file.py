"""Reading and validation of study files, for every task."""

import itertools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from hpo.config.faults import describe_faults
from hpo.config.notify import Notify
from hpo.config.sections import Section, Training
from hpo.config.stages import SearchStage, Stages
from hpo.space.space import Parameters, Space
from hpo.space.symbols import symbol
from model.documents import MAX_TOML_BYTES, parse_toml, read_limited
from model.errors import ConfigError
from model.wording import counted

_FAULTS_SHOWN = 20

StudyT = TypeVar("StudyT", bound="StudyFile")


class StudyFile(Section):
    """Contents of a study file. A task adds its own tables in a subclass."""

    task: str
    """Name of the task, such as ``calf``."""
    hours: float | None = Field(default=None, gt=0)
    """Time limit in hours, counted over all sessions. Default: no limit."""
    training: Training
    hyperparameters: Section
    """Hyperparameters that a stage may search over, and their values when it does not."""
    stages: Stages
    notify: Notify = Notify()

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Check the names of the task's hyperparameters.

        Raises:
            ConfigError: Two of them, or one and the seed of a trial, would have the same name in records.
        """
        super().__pydantic_init_subclass__(**options)
        _require_own_symbols(getattr(cls.model_fields["hyperparameters"].annotation, "model_fields", {}))

    @model_serializer(mode="wrap")
    def _without_secrets(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave addresses for notifications out of all records, except for names of variables."""
        record: dict[str, Any] = handler(self)
        record.pop("notify", None)
        return {**record, "notify": {"url": kept}} if (kept := self.notify.storable) else record

    @property
    def labels(self) -> str | None:
        """Version of the labels to read; only for tasks that have this setting."""
        return None

    @property
    def skips_missing(self) -> bool:
        """Whether items without features are left out; only for tasks that have this setting."""
        return False


def _require_own_symbols(names: Iterable[str]) -> None:
    taken = {"seed": "the seed of a trial"}
    for name in names:
        shown = symbol(name)
        if shown in taken:
            raise ConfigError(
                f"hyperparameter {name!r}: expected a name of its own, but {taken[shown]} is {shown!r} in "
                "tables and MLflow",
                fix="rename this hyperparameter",
            )
        taken[shown] = f"the hyperparameter {name!r}"


def read_study_file(name_or_path: str | Path) -> tuple[dict[str, Any], str]:
    """Read an installed study file by its name, such as ``calf``, or another one by its path.

    Returns:
        The tables of the file, not validated, and the name of the file for error messages.

    Raises:
        ConfigError: The file does not exist, cannot be read, or is not valid TOML.
    """
    text = str(name_or_path)
    if not text:
        raise ConfigError("expected the name or the path of a study file, got an empty text")
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


def validate_study(model: type[StudyT], document: Mapping[str, Any], *, file: str) -> StudyT:
    """Validate the tables of a study file as a ``model``; error messages name ``file`` as their source.

    Raises:
        ConfigError: Settings are invalid; the error lists all of them.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_study(describe_faults(error, model), file=file) from None


def invalid_study(faults: Mapping[str, str], *, file: str) -> ConfigError:
    """Make the error for a study file with invalid settings.

    Args:
        faults: Key -> description of what is wrong with its value.
        file: Name of the study file.
    """
    error = ConfigError(f"invalid study file {file}: {counted(len(faults), 'setting')} to correct")
    # Not as keywords: a key of the file may have any name.
    error.details.update(itertools.islice(faults.items(), _FAULTS_SHOWN))
    return error


def space_of(stage: SearchStage) -> Space:
    """Return the space that ``stage`` searches, its parameters in the order of the task's hyperparameters.

    The order does not depend on the file, so that a study that is written and read again searches the same
    points.
    """
    return Space(
        [
            stage.space[name].to_parameter(name)
            for name in stage.hyperparameters.model_fields
            if name in stage.space
        ]
    )


def own_point(study: StudyFile, stage: SearchStage) -> Parameters:
    """Return the study file's own values of the hyperparameters that ``stage`` searches."""
    space = space_of(stage)
    return space.active({name: getattr(study.hyperparameters, name) for name in space.names})


def first_points(study: StudyFile, stage: SearchStage) -> list[Parameters]:
    """Return the points that a search tries first.

    These are the study file's own hyperparameters, unless they lie outside the stage's space or the stage
    leaves them out, then the stage's points to try, which are complete.
    """
    own = first_guess(study, stage)
    return [*([] if own is None else [own]), *map(dict, stage.tried)]


def first_guess(study: StudyFile, stage: SearchStage) -> Parameters | None:
    """Return the study file's own hyperparameters, near which a search expects good ones.

    None if they lie outside the stage's space, or if the stage leaves them out.
    """
    own = own_point(study, stage)
    return own if stage.own_first and space_of(stage).contains(own) else None


def _read_installed(name: str) -> tuple[dict[str, Any], str]:
    folder = resources.files("search_spaces")
    known = sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name not in known:
        raise ConfigError(
            f"unknown study file {name!r}",
            known=", ".join(known),
            fix="use one of these names, or the path of a file, such as ./mine.toml",
        )
    file = f"{name}.toml"
    return _parse_toml(folder.joinpath(file).read_bytes(), file=file), file


def _parse_toml(content: bytes, *, file: str) -> dict[str, Any]:
    try:
        return parse_toml(content)
    except ValueError as error:
        raise ConfigError("the study file is not valid TOML", file=file, reason=error) from None
