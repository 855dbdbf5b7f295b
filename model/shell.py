"""Command lines that can be pasted into a shell."""

import os
import shlex

_KEPT = frozenset(range(0x20, 0x7F)) - frozenset(b"'\\")


def shell_line(*words: object) -> str:
    """Join words into a line that bash and zsh read as these words, whatever characters they contain."""
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # Line ends, and bytes of file names that are not text.
    escaped = (chr(byte) if byte in _KEPT else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(escaped)}'"
