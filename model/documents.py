"""Read JSON, TOML and tables from outside: a hostile file raises an error, never a crash or a hang."""

import codecs
import csv
import io
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from sys import intern
from typing import Any, TypeGuard

MAX_TOML_BYTES = 256 << 10
"""Largest TOML file that is read, in bytes; a settings file has a page or two."""
DEEPEST = 50
"""Maximum nesting of lists and tables; files of this project stay far below it."""
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEPARATOR_LINE = re.compile(r"\s*sep=([,;\t])[^\S\r\n]*([\r\n]|$)", re.IGNORECASE)
_LARGEST = 1 << 63
_DIGITS_OF_64_BITS = 19
# The parser's time grows with the square of the parts of a dotted key: 30,000 take a quarter of a minute.
_DOTS_A_LINE = 1000


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value of a document is a number; true and false are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_limited(file: Path, max_bytes: int) -> bytes:
    """Read the whole content of ``file``.

    Raises:
        ValueError: The file is larger than ``max_bytes``.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise _too_large(max_bytes)
    return content


def decode_text(content: bytes, *, errors: str = "strict") -> str:
    """Decode UTF-8 text, or UTF-16 with a byte-order mark; the mark itself is dropped.

    Windows' editors and PowerShell write such marks.

    Args:
        content: The bytes of a file.
        errors: ``strict``, or ``replace`` to mark bytes of another encoding by U+FFFD.

    Raises:
        ValueError: The content is not such text.
    """
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16", errors)
        if errors == "strict" and b"\0" in content[:2]:
            raise ValueError(
                "expected text in UTF-8, got what seems to be UTF-16 without a byte-order mark; "
                "save the file as UTF-8"
            )
        # The codec "utf-8-sig" is written in Python: a journal has a line for every validation.
        return content.decode(errors=errors).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise ValueError(
            f"line {line}: expected text in UTF-8, got byte {byte:#04x}; save the file as UTF-8"
        ) from error


def column_separator(text: str) -> str:
    """Return what separates the columns of a table.

    It is what a line ``sep=;`` at the top says, which Excel reads, else a comma, or what the first line with
    text has more of, ; or tab. Where a comma is the decimal sign, spreadsheets write semicolons.
    """
    if stated := _SEPARATOR_LINE.match(text):
        return stated[1]
    first_line = re.split(r"[\r\n]", text.lstrip("\r\n "), maxsplit=1)[0]
    return max(_SEPARATORS, key=first_line.count)


def without_separator_line(text: str) -> str:
    """Return a table with an empty line in place of a line ``sep=;`` at its top."""
    stated = _SEPARATOR_LINE.match(text)
    return text if stated is None else text[: stated.start(1) - len("sep=")] + text[stated.start(2) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """Row of a table."""

    line: int
    """Number of its first line in the file, from 1."""
    cells: Mapping[str, str]
    """Name of a column in lower case -> text without blanks around it; empty if the row is shorter than the
    header."""
    fault: str = ""
    """Reason why the cells may be wrong; empty if there is none."""


def parse_table(text: str, columns: Sequence[str]) -> list[TableRow]:
    """Parse a table with a header, as spreadsheets write it; rows without any text are left out.

    Names of columns are compared without regard to case.

    Args:
        text: The table, separated as ``column_separator`` says.
        columns: Columns that it must have, in lower case; it may have others.

    Raises:
        ValueError: The text is not such a table, or lacks columns or has them twice.
    """
    separator = column_separator(text)
    rows = _rows_with_text(text, separator)
    written = [cell.strip() for cell in rows[0][1]] if rows else []
    header = [name.lower() for name in written]
    if rows and (fault := _open_quotation(rows[0][1])):
        raise ValueError(f"line {rows[0][0]}: {fault}")
    faults = [
        f"{name} {'appears twice' if name in header else 'is missing'}"
        for name in columns
        if header.count(name) != 1
    ]
    if faults:
        separators = " (separated by commas, semicolons or tabs)" if len(header) == 1 else ""
        raise ValueError(
            f"expected the columns {', '.join(columns)}{separators}, got {', '.join(written) or 'none'}: "
            f"{', '.join(faults)}"
        )
    return [
        TableRow(
            line=line,
            cells=dict(zip_longest(header, map(str.strip, cells[: len(header)]), fillvalue="")),
            fault=_open_quotation(cells) or _surplus(cells, len(header), separator),
        )
        for line, cells in rows[1:]
    ]


def _rows_with_text(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return the number of the first line and the cells of every row that has any text."""
    # In a quotation mark that is not closed, the end of the last line is kept like all others.
    # All line ends become \n, among them the \r of old spreadsheets.
    lines = io.StringIO(without_separator_line(text) + "\n", newline=None)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line}: {error}") from error
    return rows


def _open_quotation(cells: Sequence[str]) -> str:
    # The lines below would become part of a text, and nobody would miss them.
    if not any("\n" in cell for cell in cells):
        return ""
    return "a quotation mark is not closed on the same line; close it, and write each text in one line"


def _surplus(cells: Sequence[str], columns: int, separator: str) -> str:
    if not any(map(str.strip, cells[columns:])):  # separators at the end of a line are no cells
        return ""
    quoted = f"put quotation marks around texts with {_SEPARATORS[separator]}"
    return f"{len(cells)} cells, expected {columns}; {quoted}"


def parse_json(content: bytes | str) -> Any:
    """Parse standard JSON in UTF-8; duplicate keys, NaN and infinity are refused.

    Raises:
        ValueError: The content is not such JSON, is nested deeper than ``DEEPEST`` levels or contains an
            integer of more than 64 bits.
    """
    text = decode_text(content) if isinstance(content, bytes) else content
    try:
        document = _LIMITED_JSON.decode(text)
    except RecursionError:
        raise _too_deep() from None
    # Integers were checked as they were read, and fewer brackets cannot be nested too deep.
    if text.count("[") + text.count("{") > DEEPEST:
        _check_limits(document)
    return document


def parse_json_with_faults(text: str) -> tuple[Any, list[str]]:
    """Parse JSON, and collect as faults what ``parse_json`` refuses in single places.

    NaN, infinity and integers of more than 64 bits become floats, for the caller to refuse where they matter.
    Of duplicate keys the first value counts; each is a fault.

    Raises:
        ValueError: The text is not JSON, or is nested deeper than ``DEEPEST`` levels.
    """
    faults: list[str] = []

    def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in pairs:
            if key in table:
                faults.append(f"key {key!r:.60} appears twice in one object")
            else:
                table[key] = value
        return table

    decoder = json.JSONDecoder(object_pairs_hook=without_twins, parse_constant=float, parse_int=_int_or_float)
    try:
        document = decoder.decode(text)
    except RecursionError:
        raise _too_deep() from None
    _check_limits(document)
    return document, faults


def _int_or_float(word: str) -> int | float:
    return int(word) if len(word) < _DIGITS_OF_64_BITS else float(word)


def parse_toml(content: bytes | str) -> dict[str, Any]:
    """Parse TOML in UTF-8.

    Raises:
        ValueError: The content is not TOML, is larger than ``MAX_TOML_BYTES``, is nested deeper than
            ``DEEPEST`` levels or contains an integer of more than 64 bits.
    """
    if len(content) > MAX_TOML_BYTES:
        raise _too_large(MAX_TOML_BYTES)
    text = decode_text(content) if isinstance(content, bytes) else content
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _DOTS_A_LINE:
            raise ValueError(f"line {number} has more than {_DOTS_A_LINE:,} dots")
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise _too_deep() from None
    _check_limits(document)
    return document


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python keeps the last of two equal keys: what stood under the first would be lost without a word.
    # A document of many records has the same keys again and again; interned, each is stored once.
    table = {intern(key): value for key, value in pairs}
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twin!r:.60} appears twice in one object")
    return table


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number in standard JSON")


def _limited_int(word: str) -> int:
    # A word of many digits would take long to convert.
    if len(word) <= _DIGITS_OF_64_BITS + 1 and -_LARGEST <= (number := int(word)) < _LARGEST:
        return number
    raise _too_large_integer()


STRICT_JSON = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_number)
"""Decoder of standard JSON; the caller limits nesting and the size of numbers."""
_LIMITED_JSON = json.JSONDecoder(
    object_pairs_hook=_without_twins, parse_constant=_no_number, parse_int=_limited_int
)


def _check_limits(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST + 1):
        if any(type(value) is int and not -_LARGEST <= value < _LARGEST for value in level):
            raise _too_large_integer()
        tables = [value.values() if isinstance(value, dict) else value for value in level if _holds(value)]
        if not tables:
            return
        level = [inner for table in tables for inner in table]
    raise _too_deep()


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)


def _too_large(max_bytes: int) -> ValueError:
    return ValueError(f"larger than {max_bytes / 2**20:g} MiB, the limit for such a file")


def _too_large_integer() -> ValueError:
    return ValueError("an integer is too large (expected at most 64 bits)")


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {DEEPEST} levels")
