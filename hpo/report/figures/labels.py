"""Labels of figures: names of any length, wrapped and shortened so that they leave room for the figure."""

import html
import re

_ROWS = 4
"""Rows of a wrapped label."""


def shortened(text: str, longest: int) -> str:
    """Return a text of at most ``longest`` characters, cut in its middle: names differ at their ends."""
    if len(text) <= longest:
        return text
    head = longest // 2
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def wrapped(text: str, width: int) -> str:
    """Return a text in rows of at most ``width`` characters, four at most; a longer text is shortened.

    Rows end after blanks, hyphens, underscores and slashes where they can.
    """
    rows = _rows(text, width)
    longest = min(len(text), _ROWS * width)
    while len(rows) > _ROWS:
        rows, longest = _rows(shortened(text, longest), width), longest - 1
    return "\n".join(rows)


def _rows(text: str, width: int) -> list[str]:
    rows = [""]
    for piece in re.findall(rf"[^\s_/-]{{1,{width - 1}}}[_/-]|[^\s_/-]{{1,{width}}}\s?|[\s_/-]", text):
        if len((rows[-1] + piece).rstrip()) > width:
            rows.append("")
        rows[-1] += piece
    return [row.strip() for row in rows]


def for_plotly(text: str) -> str:
    """Return a label for plotly, which shows ``<`` and ``&`` as they are, with its rows."""
    return html.escape(text, quote=False).replace("\n", "<br>")
