"""Progress of a running study in a notebook: one output that is replaced, without widgets."""

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from hpo.journal.results import StudyState
from hpo.journal.tally import Tally
from hpo.report.live import Display

_EVERY_S = 0.5
"""Shortest time between two pictures of the progress, in seconds."""
_WIDTH = 120
"""Characters per line."""


def display_for(console: Console, cluster: str | None = None) -> Display:
    """Return the display that suits where this process runs: a notebook, a terminal or a log.

    ``cluster`` is the address of the Ray cluster that trains the study.
    """
    return (NotebookDisplay if _in_notebook() else Display)(console, cluster)


class NotebookDisplay(Display):
    """Display that replaces its output in a notebook."""

    def __init__(self, console: Console, cluster: str | None = None) -> None:
        """Create a display; remarks go to ``console``."""
        super().__init__(console, cluster)
        self._handle: Any = None
        self._shown_at = -_EVERY_S

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the display inside the context."""
        from IPython.display import display

        self._handle = display({"text/plain": "starting"}, raw=True, display_id=True)
        try:
            yield
        finally:
            self._replace()

    def _show(self, state: StudyState, tally: Tally) -> None:
        if time.monotonic() - self._shown_at >= _EVERY_S:
            self._replace()

    def _replace(self) -> None:
        self._shown_at = time.monotonic()
        text = io.StringIO()
        console = Console(file=text, width=_WIDTH, force_jupyter=False, color_system=None)
        console.print(self._render())
        self._handle.update({"text/plain": text.getvalue().rstrip()}, raw=True)


def _in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
