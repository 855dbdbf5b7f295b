"""Watch over Ray while a study uses it: Ray itself would wait, or end the process without a word."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from model.errors import UserError

_SHOW_CURSOR = "\x1b[?25h\n"
"""What ends a live display on a terminal, which hides the cursor."""


@contextmanager
def ended_when_lost(
    lost: Callable[[], UserError | None], *, every_s: float, after_s: float
) -> Iterator[None]:
    """End this process with an error if Ray is lost inside the context.

    The journal needs no last word: a study whose process ended can be resumed.

    Args:
        lost: Returns the error while Ray is lost, else None.
        every_s: Seconds between two looks.
        after_s: Seconds for which Ray must be lost. The main thread may notice it earlier.
    """
    over = threading.Event()

    def watch() -> None:
        since = None
        while not over.wait(every_s):
            error, now = lost(), time.monotonic()
            since = None if error is None else since or now
            if error is not None and since is not None and now - since >= after_s and not over.is_set():
                cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
                print(f"{cursor}error: {error}", file=sys.stderr, flush=True)
                os._exit(2)

    threading.Thread(target=watch, name="watch-ray", daemon=True).start()
    try:
        yield
    finally:
        over.set()
