"""Recordings of work on a GPU as CUDA graphs."""

from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

from model.memory import ran_out_of_memory

WARM_UPS = 2
"""Number of runs before a recording, in which libraries initialise themselves."""


@cache
def recording_stream() -> torch.cuda.Stream:
    """Return the stream on which this process makes all recordings.

    cuBLAS keeps a workspace of 32 MB and more for every stream that it was used on, until the process ends.
    """
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def ignore_note(message: str) -> None:
    """Ignore a message for the user."""


class Recorder:
    """Records work on a GPU; all recordings share one memory pool, so they must be replayed in turn.

    Record the work that needs most memory first: the recordings after it then need no more.
    """

    def __init__(self, on_note: Callable[[str], None] = ignore_note) -> None:
        """Create a recorder; ``on_note`` gets a message if the device refuses a recording."""
        self.works = True
        """False after a refused recording; nothing is recorded from then on."""
        self._on_note = on_note
        self._pool: Any = None
        self._alive: WeakSet[torch.cuda.CUDAGraph] = WeakSet()
        """Recordings in the pool. PyTorch gives up a pool with the last of them and refuses others in it."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor] | None:
        """Record ``work``, after two runs that are not recorded.

        Returns:
            A function that repeats the work, and the result of ``work``, which each repetition writes anew.
            None if the device refuses.

        Raises:
            OutOfMemoryError: The memory of the device is too small.
        """
        self._warm_up(work)
        try:
            return self._capture(work)
        except RuntimeError as error:
            # The pool of a broken recording may be in any state.
            self._alive.clear()
            if ran_out_of_memory(error):
                raise torch.OutOfMemoryError("the device's memory ran out during a recording") from error
            self.works = False
            self._on_note(
                f"the GPU cannot record training steps ({_first_line(error)}): "
                "the training continues without recordings, more slowly"
            )
            return None

    def _warm_up(self, work: Callable[[], Tensor]) -> None:
        aside = recording_stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(aside)

    def _capture(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        if not self._alive:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        capture = torch.cuda.graph(graph, pool=self._pool, stream=recording_stream())
        # A recording that fails leaves its own stream as the current one.
        with torch.cuda.stream(torch.cuda.current_stream()), capture:
            result = work()
        self._alive.add(graph)
        return graph.replay, result


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
