"""Study files of the task ``calf``."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from hpo.config.sections import broken_rule, expected
from hpo.config.stages import DeclaredParameter, numbers
from hpo.config.study_file import StudyFile
from hpo.tasks.calf.presets import PresetName, with_preset
from hpo.tasks.calf.sections import (
    CalfTraining,
    Data,
    Hyperparameters,
    Losses,
    Network,
    Scoring,
    Zones,
)
from hpo.tasks.calf.stages import CalfStages

_FRAMES_BEFORE_R_S = 80
"""Value of ``r_frames`` that study files had by default before they gave r in seconds."""
# Section 4.1 of the paper, in seconds at its 2 frames a second; other classes get the narrowest of the three.
_PAPER_ZONES_S: dict[str, Zones] = {
    "default": (-20.0, -10.0, 10.0, 20.0),
    "goal": (-20.0, -10.0, 60.0, 90.0),
    "card": (-20.0, -10.0, 10.0, 20.0),
    "substitution": (-40.0, -20.0, 10.0, 20.0),
}


class CalfStudy(StudyFile):
    """Study file of context-aware action spotting."""

    task: Literal["calf"]
    preset: PresetName = "paper"
    """Defaults for settings that the file does not name: the paper's, or those of a published code."""
    data: Data = Data()
    network: Network = Network()
    training: CalfTraining = CalfTraining()
    losses: Losses = Losses()
    scoring: Scoring = Scoring()
    hyperparameters: Hyperparameters = Hyperparameters()
    zones_s: dict[str, Zones] = _PAPER_ZONES_S
    """Class -> slicing parameters in seconds; ``default`` applies to classes that are not named."""
    stages: CalfStages = CalfStages()

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_depend_on_the_file(cls, document: object) -> object:
        return _with_unit_of_space(with_preset(document)) if isinstance(document, Mapping) else document

    @field_validator("zones_s")
    @classmethod
    def _no_class_goes_without(cls, zones_s: dict[str, Zones]) -> dict[str, Zones]:
        if "default" not in zones_s:
            raise expected('an entry "default" for classes that are not named')
        return zones_s

    @model_validator(mode="after")
    def _r_has_one_unit(self) -> Self:
        own, units = self.hyperparameters.model_dump(), ("r_s", "r_frames")
        (unit,) = (name for name in units if name in own)
        searched = [name for name in units if name in self.searched]
        if searched and searched != [unit]:
            raise self._fault_in_space(
                f"expected r in the unit of [hyperparameters], which is {unit}, got {' and '.join(searched)}"
            )
        return self

    @model_validator(mode="after")
    def _margins_stay_ordered(self) -> Self:
        highest_min, lowest_max = max(self._values("tau_min")), min(self._values("tau_max"))
        if highest_min >= lowest_max:
            raise self._fault_in_space(
                f"tau_min must be below tau_max, but tau_min can be {highest_min:g} "
                f"while tau_max is {lowest_max:g}"
            )
        return self

    @property
    def labels(self) -> str | None:
        """Version of SoccerNet's labels that the study is for; None for any labels."""
        return self.data.labels

    @property
    def searched(self) -> Mapping[str, DeclaredParameter]:
        """Space of the search by hyperparameter; empty if the study file has no search."""
        return self.stages.bayes.space if self.stages.bayes else {}

    def zones_of(self, class_name: str) -> Zones:
        """Return the slicing parameters of a class in seconds."""
        return self.zones_s.get(class_name, self.zones_s["default"])

    def _fault_in_space(self, message: str) -> ValidationError:
        fault = InitErrorDetails(
            type=broken_rule(message), loc=("stages", "bayes", "space"), input=self.searched
        )
        return ValidationError.from_exception_data("StudyFile", [fault])

    def _values(self, name: str) -> list[float]:
        declared = self.searched.get(name)
        return numbers(declared.extremes() if declared else (getattr(self.hyperparameters, name),))


def _with_unit_of_space(document: dict[str, Any]) -> dict[str, Any]:
    """Give r in frames if the space does and [hyperparameters] has no r, as in older study files."""
    own, place = document.get("hyperparameters", {}), document
    for name in ("stages", "bayes", "space"):
        place = place.get(name, {}) if isinstance(place, Mapping) else {}
    if not isinstance(own, Mapping) or not isinstance(place, Mapping) or "r_frames" not in place:
        return document
    if "r_s" in own or "r_frames" in own:
        return document
    return {**document, "hyperparameters": {**own, "r_frames": _FRAMES_BEFORE_R_S}}
