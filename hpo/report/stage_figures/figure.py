"""What a figure of a stage is made from and what it consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from hpo.journal.results import StudyState, TrialState, TrialStatus
from hpo.report.words import score_label
from hpo.tasks.base.registry import task_of
from model.timeline import FrameRate

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Interactive


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage as figures see it."""

    state: StudyState
    stage: str
    classes: Sequence[str]
    frame_rate: FrameRate | None
    """None where the data have no frames."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """The share of each hyperparameter in the scores; empty where there is none."""

    def to_seconds(self, frames: float) -> float:
        """Frames of the data in seconds."""
        assert self.frame_rate is not None, "only stages over games have frames"
        return frames / self.frame_rate.per_second

    @property
    def score(self) -> str:
        """What is maximised, for people."""
        return score_label(self.state)

    @property
    def metric(self) -> str:
        """Its name among the metrics of a trial."""
        return task_of(self.state.created).score.metric

    @property
    def score_axis(self) -> str:
        """Label of an axis."""
        return f"{self.score} (validation)"

    @property
    def trials(self) -> list[TrialState]:
        """All of the stage."""
        return self.state.trials_of(self.stage)

    @property
    def finished(self) -> list[TrialState]:
        """Those whose scores can be compared: all epochs trained."""
        return [trial for trial in self.trials if trial.status is TrialStatus.FINISHED]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigure:
    """One figure, twice: as a picture and to be explored."""

    name: str
    """Of its file."""
    title: str
    caption: str
    """How to read it."""
    picture: Figure
    interactive: "Interactive"


def interactive(*, height: int = 420) -> "Interactive":
    """An empty figure that looks as the pictures do.

    Args:
        height: In pixels; the width is that of the page.
    """
    from plotly.graph_objects import Figure as Interactive

    return styled(Interactive(), height=height)


def styled(figure: "Interactive", *, height: int) -> "Interactive":
    """``figure`` without a title of its own, white, with room for the names of its axes."""
    figure.update_layout(
        title=None,
        template="plotly_white",
        width=None,
        height=height,
        margin={"l": 60, "r": 20, "t": 40, "b": 60},
        font={"size": 13},
        # Above the figure lie the buttons that appear under the mouse.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
    )
    return figure
