"""Signals that interrupt a study."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHUTDOWNS = ("SIGTERM", "SIGHUP")
_OF_TUNE = ("SIGINT", "SIGUSR1")
"""Signals that Ray Tune handles in its own way from its first run to the end of the process."""


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Handle the signals of a shutdown, of ``timeout`` and of a closed terminal like one Ctrl-C.

    Such a signal may come several times, to the process and to its group: all but the first are ignored. A
    signal that the user's shell ignores, as after ``nohup``, stays ignored. Afterwards all handlers are those
    of before, also of the signals that Ray Tune handles: it would swallow the next Ctrl-C.
    """
    arrived, terminal = False, [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        if arrived:
            return
        arrived = True
        if number != signal.SIGTERM:
            _leave(terminal)
        press_ctrl_c()

    before = {number: signal.getsignal(number) for number in _numbers(*_SHUTDOWNS, *_OF_TUNE)}
    for number in _numbers(*_SHUTDOWNS):
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler that C code has set, which Python cannot set again.
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


def _numbers(*names: str) -> list[signal.Signals]:
    """Return the signals with these names that this system has."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def press_ctrl_c() -> None:
    """Interrupt this process as Ctrl-C does, also where SIGINT is ignored.

    Raises:
        KeyboardInterrupt: SIGINT is ignored, as in the background of a script, or has no other handler.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _leave(terminal: list[int]) -> None:
    """Write to nowhere what would go to a terminal that is gone, where it would be an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in terminal:
        os.dup2(nowhere, stream)
    os.close(nowhere)
