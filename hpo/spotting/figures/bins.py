"""Average-mAP and number of actions by game time (figure 4) and by vicinity (figure 5)."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from hpo.report.figures.style import GREY, colour, panels
from model.metrics.breakdowns import GroupScore

_MOST_LETTERS = 110
"""Letters that have room beside each other on an axis of bins."""


def bins_figure(
    groups: Sequence[GroupScore], labels: Sequence[str], *, whole: float, title: str, axis: str
) -> Figure:
    """Draw Average-mAP (top) and the number of actions (bottom) of every bin.

    Args:
        groups: Scores of the bins.
        labels: Names of the bins.
        whole: Average-mAP of all actions, drawn as a line; as that of a bin, the mean over the classes that
            have actions.
        title: Title of the figure.
        axis: Label of the axis of bins, with its unit.
    """
    figure, ((score,), (number,)) = panels(2, 1, width=max(9, 0.3 * len(labels)), height=5.5)
    filled = [index for index, group in enumerate(groups) if group.actions]
    values = [groups[index].score.average_map for index in filled]
    score.plot(filled, values, color=colour(0), marker="o", label="actions of the bin")
    score.axhline(whole, color=colour(1), linestyle="--", label=f"all actions ({whole:.3f})")
    highest = max([whole, *values]) * 1.35 or 1.0  # without a right spot, all of them are 0
    score.set(ylabel="Average-mAP", title=title, ylim=(0, highest))
    score.legend(loc="upper left", ncols=2, fontsize=9)
    score.grid(alpha=0.3)
    bars = number.bar(
        range(len(groups)), [group.actions for group in groups], color=GREY, edgecolor="#555555"
    )
    number.bar_label(bars, fontsize=8)
    number.set(ylabel="actions", xlabel=axis)
    number.margins(y=0.15)
    for axes in (score, number):
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_xticks(range(len(groups)), labels, fontsize=8, rotation=_rotation(labels))
    return figure


def _rotation(labels: Sequence[str]) -> int:
    """Return the angle in degrees at which labels do not overlap."""
    return 90 if sum(map(len, labels)) > _MOST_LETTERS else 0
