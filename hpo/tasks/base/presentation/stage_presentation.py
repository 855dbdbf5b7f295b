"""Presentation of a stage's results: tables and figures that a task adds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from hpo.journal.ranking import GRID
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.tasks.base.splits import DataShape

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive
    from rich.console import RenderableType

    from hpo.tasks.base.score import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """Data of a stage that its tables and figures are made from."""

    state: StudyState
    """State of the study."""
    stage: str
    """Name of the stage."""
    shape: DataShape
    """Shape of the data."""
    dataset: str
    """Name of data and features, such as ``soccernet-v1/resnet``."""
    score: "Score"
    """The score that the task maximises."""
    valid_items: int = 0
    """Number of items of the validation split, such as videos."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """Importance of each hyperparameter; empty for a stage that is not a search."""

    @property
    def score_label(self) -> str:
        """Name of the score, with the classes in its mean if one has no actions in the validation split."""
        classes = self.shape.classes
        named = any(self.score.other_mean(trial.metrics, classes) for trial in self.trials)
        return self.score.full_label if named else self.score.label

    @property
    def score_axis(self) -> str:
        """Label of an axis that shows scores."""
        return f"{self.score_label} (validation)"

    @property
    def trials(self) -> list[TrialState]:
        """All trials of the stage, in the order of proposal."""
        return self.state.trials_of(self.stage)

    @property
    def compared(self) -> list[TrialState]:
        """Trials of named configurations, without those of a grid or a search."""
        return [trial for trial in self.trials if trial.role not in ("", GRID)]

    @property
    def finished(self) -> list[TrialState]:
        """Trials that trained all their epochs, whose scores can be compared."""
        return [trial for trial in self.trials if trial.status is TrialStatus.FINISHED]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigure:
    """One figure in two forms: a picture and an interactive one."""

    name: str
    """Name of its file, without suffix."""
    title: str
    """Title above the figure."""
    caption: str
    """Explanation below the figure."""
    picture: "Figure"
    """Matplotlib figure."""
    interactive: "Interactive"
    """Plotly figure."""


DrawFigures = Callable[[StageView], StageFigure | list[StageFigure] | None]
"""Function that draws figures of a stage; it returns None or an empty list if there is nothing to show."""


def no_tables(view: StageView) -> "Sequence[RenderableType]":
    """Return no additional tables."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePresentation:
    """Tables, figures and notes that a task adds to one of its stages. The defaults suit any stage."""

    reference: str = ""
    """Role of the configuration to compare with. Default, and if it was not trained: the first one."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Role -> score that a paper reports, in [0, 1]; shown in a separate column."""
    note: str = ""
    """Caption of the first table on the page of a study."""
    published_on: Collection[str] = ()
    """Names of the data sets to which ``published`` and ``note`` refer. Default: all."""
    published_score: str = ""
    """Beginning of the names of the scores to which they refer. Default: all."""
    tables: "Callable[[StageView], Sequence[RenderableType]]" = no_tables
    """Function that makes the tables and lines after the comparison of configurations."""
    figures: Mapping[str, DrawFigures] | None = None
    """Name -> drawing function. None: the history of the scores and their spread over seeds."""

    def on(self, dataset: str, score: "Score") -> Self:
        """Return the presentation of ``dataset``, without published results of other data or scores."""
        is_same = not self.published_on or dataset in self.published_on
        is_comparable = is_same and score.label.startswith(self.published_score)
        return self if is_comparable else replace(self, published={}, note="")
