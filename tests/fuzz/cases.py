"""What all targets share: how many cases, how long one may take, and what may come of it."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from hypothesis import HealthCheck, settings

from model.errors import UserError

T = TypeVar("T")

FUZZ = settings(
    max_examples=int(os.environ.get("HPO_FUZZ_CASES", "200")),
    # ``outcome`` stops what hangs; Hypothesis would only measure it, and flakily on a busy machine.
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    report_multiple_bugs=False,
)
"""``benchmarks/fuzz.py`` sets HPO_FUZZ_CASES."""
_LONGEST_S = 20.0
_LONGEST_LINE = 1500  # a path may take a thousand
_MOST_LINES = 30


def outcome(read: Callable[[], T]) -> T | UserError:
    """What ``read`` gives, or the error that a user would see; another exception or a hang is a failure."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, _LONGEST_S)
    try:
        return read()
    except UserError as error:
        assert error.message
        lines = str(error).splitlines()
        assert len(lines) <= _MOST_LINES, lines
        assert max(map(len, lines)) <= _LONGEST_LINE, lines
        return error
    except _HangError:
        raise AssertionError(f"not done after {_LONGEST_S:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _HangError(BaseException):
    """Not an Exception, which readers of damaged files take for damage."""


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise _HangError
