"""Waiting for what a test needs, with an end."""

import time
from collections.abc import Callable

_LONGEST_PAUSE_S = 0.05


def wait_until(condition: Callable[[], object], *, timeout_s: float = 120.0) -> None:
    """Poll until ``condition`` holds, often at first."""
    stop, pause_s = time.monotonic() + timeout_s, 0.005
    while not condition():
        assert time.monotonic() < stop, f"waited {timeout_s:g} s in vain"
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)
