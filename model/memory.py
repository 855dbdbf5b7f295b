"""Memory of this process, where freed memory is kept, and of its device, which can be too small."""

import contextlib
import ctypes
import gc
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch

LARGEST_BYTES = 32 << 20
"""Size up to which memory is kept; the C library maps larger tensors and gives them back at once."""
KEPT_BYTES = 256 << 20
"""Most memory that is kept at a time."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the settings in the C library's malloc.h."""
_TOO_SMALL = ("out of memory", "ALLOC_FAILED")
"""Words of errors of CUDA and its libraries, which take memory of their own: for kernels, graphs, cuBLAS."""

T = TypeVar("T")


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


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Return whether ``error`` or an error that it replaced says that the device's memory is too small.

    The end of a CUDA capture in which memory ran out raises another error.
    """
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or _says_too_small(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _says_too_small(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _TOO_SMALL)


def unless_out_of_memory(work: Callable[[], T]) -> T | None:
    """Return the result of ``work``, or None if the device's memory is too small; what it took is free."""
    try:
        return work()
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
    # Not before the error is gone: it holds on to the memory.
    free_memory()
    return None


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a GPU in bytes, with what PyTorch keeps for the next tensors."""
    # Given back and not added up: what PyTorch keeps for recordings serves nothing else.
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return free


def free_memory() -> None:
    """Give the memory of a GPU that no tensor needs any more back to the driver."""
    gc.collect()
    torch.cuda.empty_cache()
