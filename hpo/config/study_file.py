"""One study file: everything a person writes about a study, read and validated."""

import itertools
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from hpo.config.faults import describe_faults
from hpo.config.presets import PresetName, with_preset
from hpo.config.sections import (
    Hyperparameters,
    Losses,
    Network,
    Scoring,
    Section,
    Training,
    Zones,
    broken_rule,
    expected,
)
from hpo.config.stages import SearchStage, Stages
from hpo.space.space import Parameters, Space
from model.documents import MAX_TOML_BYTES, parse_toml, read_limited
from model.errors import ConfigError

_FAULTS_SHOWN = 20

# Section 4.1 of the paper, in seconds at its 2 frames a second; other classes get the narrowest of the three.
_PAPER_ZONES_S: dict[str, Zones] = {
    "default": (-20.0, -10.0, 10.0, 20.0),
    "goal": (-20.0, -10.0, 60.0, 90.0),
    "card": (-20.0, -10.0, 10.0, 20.0),
    "substitution": (-40.0, -20.0, 10.0, 20.0),
}


class StudyFile(Section):
    """A whole study."""

    task: Literal["calf"]
    preset: PresetName = "paper"
    """Settings that the file does not name itself: the paper's, or those of one of the published codes."""
    network: Network = Network()
    training: Training = Training()
    losses: Losses = Losses()
    scoring: Scoring = Scoring()
    hyperparameters: Hyperparameters = Hyperparameters()
    zones_s: dict[str, Zones] = _PAPER_ZONES_S
    """Slicing parameters of each class; ``default`` holds for classes that are not named."""
    stages: Stages

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_preset(cls, document: object) -> object:
        return with_preset(document) if isinstance(document, Mapping) else document

    @field_validator("zones_s")
    @classmethod
    def _no_class_goes_without(cls, zones_s: dict[str, Zones]) -> dict[str, Zones]:
        if "default" not in zones_s:
            raise expected('an entry "default" for classes that are not named')
        return zones_s

    @model_validator(mode="after")
    def _margins_stay_ordered(self) -> Self:
        stage = self.stages.bayes
        highest_min, lowest_max = max(self._values(stage, "tau_min")), min(self._values(stage, "tau_max"))
        if highest_min >= lowest_max:
            rule = broken_rule(
                f"tau_min must stay below tau_max, yet it may be {highest_min:g} "
                f"while tau_max is {lowest_max:g}"
            )
            fault = InitErrorDetails(type=rule, loc=("stages", "bayes", "space"), input=stage.space)
            raise ValidationError.from_exception_data("StudyFile", [fault])
        return self

    def zones_of(self, class_name: str) -> Zones:
        """K1 < K2 < 0 < K3 < K4 of a class, in seconds."""
        return self.zones_s.get(class_name, self.zones_s["default"])

    def _values(self, stage: SearchStage, name: str) -> tuple[int | float, ...]:
        declared = stage.space.get(name)
        return declared.extremes() if declared else (getattr(self.hyperparameters, name),)


def load_study_file(name_or_path: str | Path) -> StudyFile:
    """Read an installed study file by its name, such as ``calf``, or any other by its path.

    Raises:
        ConfigError: No such file, not a TOML file, or settings that cannot be used (all of them are named).
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
    return parse_study(_parse_toml(content, file=text), file=text)


def parse_study(document: Mapping[str, Any], *, file: str) -> StudyFile:
    """Validate the tables of a study file; ``file`` says in errors where they come from.

    Raises:
        ConfigError: Settings that cannot be used; all of them are named.
    """
    try:
        return StudyFile.model_validate(document)
    except ValidationError as error:
        faults = describe_faults(error, StudyFile)
        count = "1 setting" if len(faults) == 1 else f"{len(faults)} settings"
        refusal = ConfigError(f"{count} of the study file {file} cannot be used")
        # Not as keywords: a key of the file may have any name.
        refusal.details.update(itertools.islice(faults.items(), _FAULTS_SHOWN))
        raise refusal from None


def space_of(stage: SearchStage) -> Space:
    """The space that ``stage`` searches, its parameters in the order of ``Hyperparameters``.

    That order, not the one in the file, so that a study written out and read again searches the same points.
    """
    return Space(
        [stage.space[name].named(name) for name in Hyperparameters.model_fields if name in stage.space]
    )


def first_points(study: StudyFile, stage: SearchStage) -> list[Parameters]:
    """The study's own hyperparameters, to start a search from; none if they lie outside its space."""
    own: Parameters = {name: getattr(study.hyperparameters, name) for name in stage.space}
    return [own] if space_of(stage).contains(own) else []


def _read_installed(name: str) -> StudyFile:
    folder = resources.files("search_spaces")
    known = sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name not in known:
        raise ConfigError(
            f"no study file is named {name!r}",
            known=", ".join(known),
            fix="take one of these, or the path of a file, such as ./mine.toml",
        )
    file = f"{name}.toml"
    return parse_study(_parse_toml(folder.joinpath(file).read_bytes(), file=file), file=file)


def _parse_toml(content: bytes, *, file: str) -> dict[str, Any]:
    try:
        return parse_toml(content)
    except ValueError as error:
        raise ConfigError("the study file is not usable TOML", file=file, reason=error) from None
