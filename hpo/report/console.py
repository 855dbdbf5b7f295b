"""Consoles for what commands print: results on standard output, progress and remarks on standard error.

Texts from outside, such as the message of a failed trial, are printed as they are: brackets are no markup.
"""

import sys

from rich.console import Console, RenderableType
from rich.measure import Measurement


def standard_error() -> Console:
    """Return the console for progress and remarks; results go to standard output."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, force_jupyter=False)


def standard_output(width: int | None = None) -> Console:
    """Return the console for results.

    Args:
        width: Characters per line. None: that of the terminal.
    """
    return Console(highlight=False, markup=False, emoji=False, width=width)


def print_table(table: RenderableType) -> None:
    """Print a table to standard output, as wide as it needs to be.

    A narrow terminal breaks its lines; a number that is cut would be worse.
    """
    console = standard_output()
    needed = Measurement.get(console, console.options.update(max_width=sys.maxsize), table).maximum
    standard_output(max(needed, console.width)).print(table)
