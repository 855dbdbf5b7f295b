"""Zones around an action (figure 2) and the segmentation loss in them (figures 1, 11)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.report.figures.labels import wrapped
from hpo.report.figures.style import colour, panels
from model.data.stores.distances import action_distances
from model.encoding import Zones, time_shift
from model.losses.complete import LossConfig
from model.losses.segmentation import segmentation_loss_elements
from model.timeline import FrameRate

_SEGMENTS = (
    ("far before, far after: no action", "#BBBBBB"),
    ("transition: no action, softened loss", "#56B4E9"),
    ("just before: no influence", "#FFFFFF"),
    ("just after: action", "#E69F00"),
)
_ORDER = (0, 1, 2, 3, 1, 0)
_TOP = 3.0
"""Loss above which all values share a colour, because the loss has no upper bound."""
_LEVELS = np.linspace(0, _TOP, 13)


def zones_figure(zones: Zones, classes: Sequence[str], frame_rate: FrameRate) -> Figure:
    """Draw one bar per class, divided at K1 < K2 < 0 < K3 < K4, in seconds."""
    figure, ((axes,),) = panels(1, 1, width=9, height=1.8 + 0.55 * len(classes))
    rows_s = np.array(zones.per_class) / frame_rate.per_second
    reach = 1.25 * np.abs(rows_s).max()
    for row, (k1, k2, k3, k4) in enumerate(rows_s):
        borders = [-reach, k1, k2, 0.0, k3, k4, reach]
        for segment, low, high in zip(_ORDER, borders[:-1], borders[1:], strict=True):
            name, tone = _SEGMENTS[segment]
            label = name if row == 0 and low < k3 else None
            axes.barh(row, high - low, left=low, height=0.6, color=tone, edgecolor="black", label=label)
    axes.axvline(0, color=colour(1), linewidth=2)
    axes.set_yticks(range(len(classes)), [wrapped(name, 32) for name in classes])
    axes.invert_yaxis()
    axes.set(xlabel="seconds from the action (line)", xlim=(-reach, reach))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def loss_figure(loss: LossConfig, classes: Sequence[str], frame_rate: FrameRate) -> Figure:
    """Draw the loss of a score p around one action (left) and around two close actions (right).

    Args:
        loss: The loss with its zones and margins.
        classes: Names of the classes.
        frame_rate: Frame rate of the zones.
    """
    figure, grid = panels(len(classes), 2, width=10, height=2.7 * len(classes) + 0.6)
    for index, (name, row) in enumerate(zip(classes, grid, strict=True)):
        k1, _, k3, k4 = loss.zones.per_class[index]
        alone, close = [0], [0, round((k3 + k4 - k1) / 2)]
        for axes, actions in zip(row, (alone, close), strict=True):
            around = np.arange(round(1.3 * k1), round(actions[-1] + 1.3 * k4) + 1)
            losses = _losses(loss, index, around, actions)
            _draw(axes, around / frame_rate.per_second, losses)
            for action in actions:
                axes.axvline(action / frame_rate.per_second, color=colour(1), linewidth=1.5)
            axes.set(xlabel="seconds from the action", ylabel="score p", title=wrapped(name, 32))
    image = grid[0][0].collections[0]
    figure.colorbar(
        image, ax=[axes for row in grid for axes in row], label=r"loss $\tilde{L}(p, s)$", shrink=0.8
    )
    return figure


def _losses(
    loss: LossConfig, index: int, around: npt.NDArray[np.int64], actions: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Return the losses (scores, frames) of 101 scores in [0, 1], on the frames ``around`` actions."""
    rows = np.array([[frame - around[0], 0] for frame in actions])
    past, future = action_distances(rows, frames=len(around), classes=1)
    zones = Zones((loss.zones.per_class[index],)).tensor()
    shift = time_shift(torch.from_numpy(past).long(), torch.from_numpy(future).long(), zones)
    score = torch.linspace(0, 1, 101)[:, None, None].expand(-1, len(around), 1)
    elements = segmentation_loss_elements(
        score, shift.expand_as(score), zones[:, None, None], tau_max=loss.tau_max, tau_min=loss.tau_min
    )
    losses: npt.NDArray[np.float32] = elements[..., 0].numpy()
    return losses


def _draw(axes: Axes, seconds: npt.NDArray[np.float64], losses: npt.NDArray[np.float32]) -> None:
    scores = np.linspace(0, 1, len(losses))
    axes.contourf(seconds, scores, np.minimum(losses, _TOP), levels=_LEVELS, cmap="cividis", extend="max")
