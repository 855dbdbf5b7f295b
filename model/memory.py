"""Memory of this process: what tensors free is kept for the next ones."""

import contextlib
import ctypes
from functools import cache

LARGEST_BYTES = 32 << 20
"""Size up to which memory is kept; the C library maps larger tensors and gives them back at once."""
KEPT_BYTES = 256 << 20
"""Most memory that is kept at a time."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the settings in the C library's malloc.h."""


@cache
def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed, instead of giving it back to the operating system.

    Each pass frees and takes the same memory. Given back, it is mapped again page by page, which took a third
    of a validation and a tenth of a training step on a processor. C libraries other than glibc stay as they
    are.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
