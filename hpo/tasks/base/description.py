"""Description of a task: what commands need that read a study and do not train."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Generic, TypeVar

from hpo.config.study_file import StudyFile
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataShape

StudyT = TypeVar("StudyT", bound=StudyFile)
ShapeT = TypeVar("ShapeT", bound=DataShape)


class TaskDescription(Generic[StudyT, ShapeT]):
    """Names, stages, score and presentation of a task.

    A task of this package has a module ``description`` with a ``DESCRIPTION``, which imports neither torch
    nor the code that trains. A task outside this package describes itself.
    """

    name: ClassVar[str]
    """Name in study files, as in ``task = "calf"``."""
    unit: ClassVar[str] = "items"
    """Plural name of the items of a split, such as ``games``."""
    score: ClassVar[Score]
    """The score that the task maximises, unless ``score_in`` returns another one."""
    study_file: ClassVar[type[StudyFile]]
    """Model of the task's study files."""
    data_shape: ClassVar[type[DataShape]] = DataShape
    """Class of ``shape``."""
    takes_uri: ClassVar[bool] = False
    """True if the data may be at a URI (``--data-uri``)."""
    reads_data: ClassVar[bool] = True
    """False if the trials open their data themselves, so that no data folder is given."""
    analyses: ClassVar[bool] = False
    """True if ``hpo analyse`` supports trained networks of the task."""
    finders: ClassVar[tuple[str, ...]] = ("bayes",)
    """Stages that search for a configuration, each starting from the result of the previous one."""
    procedure: ClassVar[tuple[str, ...]] = ("bayes",)
    """Stages in their usual order; the choice of a later stage replaces that of an earlier one."""

    @property
    def deciding(self) -> tuple[str, ...]:
        """Stages that choose the study's configuration, in order of precedence."""
        return tuple(reversed(dict.fromkeys([*self.finders, *self.procedure])))

    def score_in(self, study: Mapping[str, Any]) -> Score:
        """Return the score that a study maximises.

        Args:
            study: Tables of the study file; older studies may lack settings.
        """
        return self.score

    def units_note(self, shape: ShapeT, symbols: Collection[str]) -> str:
        """Return a sentence about the units of the hyperparameters with these symbols.

        It is empty if their names say enough.
        """
        return ""

    def describe_stage(self, study: StudyT, stage: str, shape: ShapeT) -> list[str]:
        """Describe what a stage of the task's own tries, a line each, for a plan."""
        return []

    def shape_from_json(self, record: dict[str, Any]) -> ShapeT:
        """Build a shape from the output of ``shape_to_json``."""
        return self.data_shape(**{**record, "classes": tuple(record["classes"])})  # type: ignore[return-value]

    def shape_to_json(self, shape: ShapeT) -> dict[str, Any]:
        """Convert a shape to plain JSON."""
        return {**asdict(shape), "classes": list(shape.classes)}

    def data_tags(self, shape: ShapeT) -> Mapping[str, str]:
        """Return tags that say in MLflow what the data are, beside their name and digest."""
        return {}

    def presentation(self, stage: str) -> StagePresentation:
        """Return the tables and figures that the task adds to ``stage``."""
        return StagePresentation()
