"""Common style of all figures: colours that colour-blind people can distinguish, reproducible files."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of Okabe and Ito (2008), without the yellow that is hard to see on white."""
DASHES = ("-", "--", ":")
GREY = "#BBBBBB"
_EQUAL_SPAN = 0.1
"""Length of the axis of scores that are all equal."""


def colour(index: int) -> str:
    """Return the colour of class or line ``index``; colours repeat after seven."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Return the dashes of class or line ``index``; they change when the colours repeat."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def score_range(scores: Iterable[float]) -> tuple[float, float] | None:
    """Return the ends of an axis for equal scores, within [0, 1]; None where any library's choice is good."""
    low, *others = set(scores)
    if others or not 0 <= low <= 1:
        return None
    start = min(max(low - _EQUAL_SPAN / 2, 0.0), 1.0 - _EQUAL_SPAN)
    return start, start + _EQUAL_SPAN


def panels(rows: int, columns: int, *, width: float, height: float) -> "tuple[Figure, list[list[Axes]]]":
    """Return a figure with ``rows`` x ``columns`` panels; its ``width`` and ``height`` are in inches."""
    from matplotlib.figure import Figure  # takes half a second to import

    figure = Figure(figsize=(width, height), layout="constrained")
    grid = np.array(figure.subplots(rows, columns, squeeze=False))
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, [list(row) for row in grid]


def save_figure(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """Write ``name``.png and ``name``.svg; the same figure gives the same bytes."""
    files = []
    for kind in ("png", "svg"):
        files.append(folder / f"{name}.{kind}")
        write_whole(files[-1], figure_bytes(figure, kind))
    return files


def figure_bytes(figure: "Figure", kind: str, *, dpi: int = 150) -> bytes:
    """Return the content of a ``png`` or ``svg`` file of a figure, without a date or version."""
    import matplotlib as mpl

    content = io.BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": "hpo"}):
        figure.savefig(content, format=kind, dpi=dpi, metadata=metadata)
    return content.getvalue()
