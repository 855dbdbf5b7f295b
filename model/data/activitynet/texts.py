"""Text files of ActivityNet as they lie on a disk, and many names in few words."""

import io
from collections.abc import Sequence
from pathlib import Path

from model.documents import decode_text, read_limited

MAX_BYTES = 256 << 20
"""Largest file that is read, in bytes."""
_SHOWN = 5


def read_text(file: Path, *, errors: str = "strict") -> str:
    """Read a text as ``decode_text`` does, with a line feed at every line end.

    Args:
        file: Path of the file.
        errors: ``strict``, or ``replace`` to mark bytes of another encoding by U+FFFD.

    Raises:
        ValueError: The file is too large or in another encoding.
        OSError: The file cannot be read.
    """
    text = decode_text(read_limited(file, MAX_BYTES), errors=errors)
    return io.StringIO(text, newline=None).read()


def reason_of(error: Exception) -> str:
    """Return what ``error`` says, without the path that an error of the system repeats."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error)


def shortened(names: Sequence[str]) -> str:
    """Return the first of ``names`` and the number of the others, such as ``a, b and 3 more``."""
    shown = [f"{name:.80}" for name in names[:_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
