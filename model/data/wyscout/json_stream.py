"""Read a long JSON array element by element in constant memory."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator

from model.documents import STRICT_JSON

_MAX_ELEMENT_CHARACTERS = 1 << 22
_WHITE_SPACE = re.compile(r"[ \t\r\n]*")


class _Window:
    """Part of the text around the element that is being read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer = ""
        self._at = 0

    def _extend(self) -> bool:
        more = next(self._chunks, b"")
        # A character may be cut in two by the end of a chunk, but not by the end of the file.
        self._buffer = self._buffer[self._at :] + self._decoder.decode(more, final=not more)
        self._at = 0
        return bool(more)

    def next_mark(self) -> str:
        """Return the next character that is not white space, without reading it; empty at the end."""
        while True:
            blank = _WHITE_SPACE.match(self._buffer, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._extend():
                return ""

    def take(self, mark: str) -> bool:
        """Read the next character if it is ``mark`` and return whether it was."""
        fits = self.next_mark() == mark
        self._at += fits
        return fits

    def take_element(self) -> object:
        """Decode the element that starts here, reading more chunks if necessary."""
        while True:
            try:
                element, self._at = STRICT_JSON.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                too_long = len(self._buffer) - self._at > _MAX_ELEMENT_CHARACTERS
                if too_long or not self._extend():
                    raise ValueError(f"not valid JSON: {error.msg}") from error
            else:
                return element


def read_elements(chunks: Iterable[bytes]) -> Iterator[object]:
    """Yield the elements of a JSON array from the non-empty ``chunks`` of its text.

    The elements must be objects, arrays or strings.

    Raises:
        ValueError: The text is not such an array, is not UTF-8, or an element is longer than 4 Mi characters.
    """
    window = _Window(chunks)
    if not window.take("["):
        raise ValueError("expected a JSON array")
    more = not window.take("]")
    while more:
        try:
            window.next_mark()
            yield window.take_element()
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        more = window.take(",")
        if not more and not window.take("]"):
            raise ValueError(f"expected a comma or the end of the array, got {window.next_mark()!r}")
    if window.next_mark():
        raise ValueError("expected the end of the file after the array")
