"""Common style of all figures: colours that colour-blind people can distinguish, reproducible files."""

import io
import re
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.report.console import standard_error
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
_MORE_LETTERS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Usual fonts with Chinese, Japanese and Korean letters, of Linux, macOS and Windows."""
_MISSING = re.compile(r"Glyph \d+ .* missing from")
"""Matplotlib's warning of a letter that no font of a text has."""


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
    """Return the content of a ``png`` or ``svg`` file of a figure, without a date or version.

    Letters that the usual font lacks come from another one that is installed.
    """
    from matplotlib.text import Text

    content, is_complete = _saved(figure, kind, dpi)
    if not is_complete and (fonts := _installed_fonts()):
        for text in figure.findobj(Text):
            text.set_fontfamily([*text.get_fontfamily(), *fonts])
        content, is_complete = _saved(figure, kind, dpi)
    if not is_complete:
        _note_missing_letters()
    return content


def _saved(figure: "Figure", kind: str, dpi: int) -> tuple[bytes, bool]:
    """Return the content of the file of a figure, and whether its fonts have all letters."""
    import matplotlib as mpl

    content = io.BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": "hpo"}), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(content, format=kind, dpi=dpi, metadata=metadata)
    others = [each for each in caught if not _MISSING.match(str(each.message))]
    for each in others:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return content.getvalue(), len(others) == len(caught)


def _installed_fonts() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [name for name in _MORE_LETTERS if name in installed]


@cache
def _note_missing_letters() -> None:
    """Say once that figures lack letters."""
    standard_error().print(
        "figures lack some letters, which no known font here has (install one, such as Noto Sans CJK)",
        soft_wrap=True,
    )
