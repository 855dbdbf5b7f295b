"""How a task presents the results of its stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpo.journal.results import StudyState, TrialState, TrialStatus
from hpo.tasks.base.splits import DataShape

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive
    from rich.console import RenderableType

    from hpo.tasks.base.score import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage of a study, as its tables and figures read it."""

    state: StudyState
    stage: str
    shape: DataShape
    dataset: str
    """Name of data and features, such as ``soccernet-v1/resnet``."""
    score: "Score"
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of each hyperparameter in the scores; empty for a stage that is not a search."""

    @property
    def score_axis(self) -> str:
        """Label of an axis that shows scores."""
        return f"{self.score.label} (validation)"

    @property
    def trials(self) -> list[TrialState]:
        """All trials of the stage, in the order in which they were proposed."""
        return self.state.trials_of(self.stage)

    @property
    def compared(self) -> list[TrialState]:
        """Trials of named configurations; those of a grid or a search are left out."""
        return [trial for trial in self.trials if trial.role not in ("", "grid")]

    @property
    def finished(self) -> list[TrialState]:
        """Trials that trained all their epochs, so that their scores can be compared."""
        return [trial for trial in self.trials if trial.status is TrialStatus.FINISHED]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigure:
    """One figure in two forms: a picture and an interactive one."""

    name: str
    """Name of its file, without an ending."""
    title: str
    caption: str
    """How to read it."""
    picture: "Figure"
    interactive: "Interactive"


DrawFigures = Callable[[StageView], StageFigure | list[StageFigure] | None]
"""Draws figures of a stage; returns None or an empty list while there is nothing to show."""


def no_tables(view: StageView) -> "Sequence[RenderableType]":
    """Return no tables: those that any stage has are enough."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePresentation:
    """What a task adds to the results of one of its stages. The defaults suit any stage."""

    reference: str = ""
    """Role of the configuration that the others are compared with. Empty: the first one."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Role -> score that a paper reports, in [0, 1]; shown in a column of its own."""
    note: str = ""
    """Caption of the first table on the page of a study."""
    tables: "Callable[[StageView], Sequence[RenderableType]]" = no_tables
    """Makes tables and lines that follow the comparison of the stage's configurations."""
    figures: Mapping[str, DrawFigures] | None = None
    """Name -> function that draws. None: the history of the scores and their spread over seeds."""
