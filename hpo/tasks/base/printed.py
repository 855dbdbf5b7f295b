"""Keep what the user's code prints in a trial in a file of the trial."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO, runtime_checkable


@runtime_checkable
class Printing(Protocol):
    """A trial whose code is the user's, which may print."""

    output: Path | None
    """File for what it prints. None: the output of the process."""


class _Running(io.TextIOBase):
    """Output of the trial that runs now, of which a process has one at a time.

    A handler of ``logging`` that a trial has made keeps this stream, and serves the next trial too.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.output: Path | None = None
        self._file: TextIO | None = None

    def writable(self) -> bool:
        """Return that text can be written."""
        return True

    def write(self, text: str) -> int:
        """Write to the file of the running trial; between trials to the process's own output."""
        # A full disk is found by the checkpoint; what is printed is worth no trial.
        with contextlib.suppress(OSError):
            stream = self._stream()
            stream.write(text)
            stream.flush()
        return len(text)

    def fileno(self) -> int:
        """Return the number of the file, for processes that the trial starts."""
        return self._stream().fileno()

    @property
    def buffer(self) -> BinaryIO:
        """The file as bytes."""
        return self._stream().buffer

    def close_file(self) -> None:
        """Close the file of the running trial."""
        self.output = None
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _stream(self) -> TextIO:
        if self._file is None and self.output is not None:
            self._file = self.output.open("a", encoding="utf-8", errors="backslashreplace")
        stream = self._file or sys.__stderr__
        assert stream is not None, "a process that trains has an output"
        return stream


_running = _Running()


@contextlib.contextmanager
def printed_to(output: Path | None) -> Iterator[None]:
    """Append what is printed in this context to a file, which appears with the first text.

    Trials of one process that print must run one after the other. With None, nothing changes.
    """
    if output is None:
        yield
        return
    _running.output = output
    try:
        with contextlib.redirect_stdout(_running), contextlib.redirect_stderr(_running):
            yield
    finally:
        _running.close_file()
