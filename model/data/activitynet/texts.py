"""Text files of ActivityNet as they lie on a disk, and many names in few words."""

import codecs
import io
from collections.abc import Sequence
from pathlib import Path

from model.documents import read_limited

MAX_BYTES = 256 << 20
"""Largest file that is read, in bytes."""
_SHOWN = 5


def read_text(file: Path, *, errors: str = "strict") -> str:
    """Read a text in UTF-8, with or without a byte-order mark, and with a line feed at every line end.

    Args:
        file: Path of the file.
        errors: ``strict``, or ``replace`` to mark bytes that are not UTF-8 by U+FFFD.

    Raises:
        ValueError: The file is too large or not in UTF-8.
        OSError: The file cannot be read.
    """
    content = read_limited(file, MAX_BYTES)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("expected text in UTF-8, got UTF-16; save the file as UTF-8")
    try:
        text = content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"got byte {content[error.start]:#04x}"
        raise ValueError(f"line {line}: expected text in UTF-8, {found}; save the file as UTF-8") from None
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
