"""Timeline of a game: actions, segmentation scores and spots over its halves (figures 7, 15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.report.figures.labels import wrapped
from hpo.report.figures.style import colour, panels
from model.spots import Spots
from model.timeline import FrameRate


@dataclass(frozen=True, slots=True, kw_only=True)
class GameTimeline:
    """Actions of a game, with a network's segmentation scores and spots."""

    game: str
    classes: Sequence[str]
    frame_rate: FrameRate
    segmentation: tuple[npt.NDArray[np.float32], ...]
    """Segmentation scores (frames, classes) of every half; high just after an action."""
    actions: npt.NDArray[np.int64]
    """Actions (n, 4): half, frame, class, visible."""
    spots: Spots
    """Spots whose confidence is above the threshold of their class."""
    numbers: Sequence[int] = (1, 2)
    """Number of each half."""


def timeline_figure(timeline: GameTimeline) -> Figure:
    """Draw one row per class and one column per half."""
    rows, halves = len(timeline.classes), len(timeline.segmentation)
    figure, grid = panels(rows, halves, width=7 * halves, height=1.7 * rows + 1.2)
    for index, row in enumerate(grid):
        for half, axes in enumerate(row):
            _draw(axes, timeline, half, index)
        row[0].set_ylabel(f"{wrapped(timeline.classes[index], 18)}\nscore")
    for half, axes in enumerate(grid[0]):
        axes.set_title(f"half {timeline.numbers[half]}")
        grid[-1][half].set_xlabel("minutes of the half")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(timeline.game.rpartition("/")[2])
    return figure


def networks_figure(timelines: Mapping[str, GameTimeline], index: int) -> Figure:
    """Draw one class of a game by several networks (figure 14): one row per network, one column per half.

    Args:
        timelines: Timelines of one game, by the name of the network.
        index: Index of the class.
    """
    game = next(iter(timelines.values()))
    halves = len(game.segmentation)
    figure, grid = panels(len(timelines), halves, width=7 * halves, height=1.9 * len(timelines) + 1.2)
    for row, (name, timeline) in zip(grid, timelines.items(), strict=True):
        for half, axes in enumerate(row):
            _draw(axes, timeline, half, index)
            axes.set_title(f"{name}, half {timeline.numbers[half]}", fontsize=9)
        row[0].set_ylabel("score")
    for axes in grid[-1]:
        axes.set_xlabel("minutes of the half")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"{game.game.rpartition('/')[2]}: {game.classes[index]}")
    return figure


def _draw(axes: Axes, timeline: GameTimeline, half: int, index: int) -> None:
    per_minute = 60 * timeline.frame_rate.per_second
    scores = timeline.segmentation[half][:, index]
    axes.plot(
        np.arange(len(scores)) / per_minute, scores, color=colour(0), linewidth=0.8, label="segmentation"
    )
    actions, spots = timeline.actions, timeline.spots
    real = actions[(actions[:, 0] == half) & (actions[:, 2] == index), 1] / per_minute
    axes.vlines(real, 0, 1.08, color=colour(1), linestyle="--", linewidth=1.5, label="action")
    mine = (spots.half == half) & (spots.class_index == index)
    axes.plot(
        spots.frame[mine] / per_minute,
        spots.score[mine],
        color=colour(2),
        linestyle="",
        marker="*",
        markersize=10,
        markeredgecolor="black",
        markeredgewidth=0.5,
        label="spot, at its confidence",
    )
    axes.set(xlim=(0, len(scores) / per_minute), ylim=(0, 1.1))
