"""Limits on what comes from outside."""

import time
from pathlib import Path

import pytest

from model.documents import (
    DEEPEST,
    MAX_TOML_BYTES,
    decode_text,
    parse_json,
    parse_table,
    parse_toml,
    read_limited,
)


def test_file_of_the_largest_size_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * (2 << 20))
    assert len(read_limited(file, 2 << 20)) == 2 << 20
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_limited(file, 1 << 20)


def test_toml_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"larger than 0\.25 MiB"):
        parse_toml(b"#" * (MAX_TOML_BYTES + 1))


def test_nesting_ends_at_the_limit() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert parse_toml(("a=" + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)).encode())


@pytest.mark.parametrize("levels", [DEEPEST + 1, 200, 100_000])
def test_deeper_nesting_is_refused_and_no_recursion_error(levels: int) -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json("[" * levels + "]" * levels)
    with pytest.raises(ValueError, match="nested deeper"):
        parse_toml(("a=" + "[" * levels + "]" * levels).encode())


@pytest.mark.parametrize("toml", ["a" + ".a" * 100 + " = 1", "[a" + ".a" * 100 + "]"])
def test_dotted_keys_nest_too(toml: str) -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        parse_toml(toml.encode())


def test_longest_dotted_keys_end_soon() -> None:
    start = time.perf_counter()
    with pytest.raises(ValueError, match="line 1 has more than 1,000 dots"):
        parse_toml(("a" + ".a" * 100_000 + " = 1").encode())
    with pytest.raises(ValueError, match="nested"):
        parse_toml("\n".join(f"k{n}" + ".a" * 990 + " = 1" for n in range(120)).encode())
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' appears twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[9223372036854775808]", "at most 64 bits"),
        ("9" * 5000, "64 bits"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_json_that_is_not_standard_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        parse_json('{"a": "ü"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        parse_toml(b'a = "\xff"')


@pytest.mark.parametrize("number", ["9" * 5000, "9223372036854775808", "-9223372036854775809"])
def test_toml_integers_have_64_bits(number: str) -> None:
    with pytest.raises(ValueError, match=r"64 bits|digits"):
        parse_toml(f"a = {number}".encode())


def test_largest_integers_are_read() -> None:
    assert parse_json("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_of_windows_are_read_over(encoding: str) -> None:
    assert parse_json('{"a": "Größe"}\r\n'.encode(encoding)) == {"a": "Größe"}
    assert parse_toml('a = "Größe"\r\nb = 1\r\n'.encode(encoding)) == {"a": "Größe", "b": 1}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_in_utf_16_without_a_mark_is_called_that(encoding: str) -> None:
    with pytest.raises(ValueError, match="seems to be UTF-16 without a byte-order mark; save"):
        decode_text("game,part\n".encode(encoding))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table_has_the_texts_of_its_columns(separator: str, end: str) -> None:
    lines = [" Game , TIME ,more", "a, 5 ", "", '"b", "1,5; 2\t", c']
    rows = parse_table(end.join(lines).replace(",", separator), ["time", "game"])
    assert [(row.line, row.fault) for row in rows] == [(2, ""), (4, "")]
    assert rows[0].cells == {"game": "a", "time": "5", "more": ""}
    assert rows[1].cells == {"game": "b", "time": "1,5; 2".replace(",", separator), "more": "c"}


@pytest.mark.parametrize(("separator", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs")])
def test_row_of_a_table_with_more_cells_than_columns_has_a_fault(separator: str, name: str) -> None:
    (row,) = parse_table("a,b\n1,2,3".replace(",", separator), ["a"])
    assert row.fault == f"3 cells, expected 2; put quotation marks around texts with {name}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the columns a, b, got none: a is missing, b is missing"),
        ("b,c,B\n", "got b, c, B: a is missing, b appears twice"),
        ("a|b\n", r"a, b \(separated by commas, semicolons or tabs\), got a\|b: a is missing, b is missing"),
        ('a,b\n"' + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_table_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_table(text, ["a", "b"])


def test_separators_at_the_end_and_empty_rows_of_a_spreadsheet_are_no_fault() -> None:
    (row,) = parse_table("a;b\n1;2;;\n;\n  ;;;\n", ["a", "b"])
    assert (row.cells, row.fault) == ({"a": "1", "b": "2"}, "")


@pytest.mark.parametrize("rest", ["\n1,card\n2,goal\n", "\r1,card\r", '\r\n1,"card"\r\n', ",more\n", ""])
def test_quotation_mark_that_is_not_closed_is_a_fault_of_its_line(rest: str) -> None:
    before, row = parse_table(f'a,b\n\n0,"1, 2"\n1,"goal{rest}', ["a", "b"])
    assert (before.line, before.cells["b"], before.fault) == (3, "1, 2", "")
    assert row.line == 4 and "quotation mark is not closed" in row.fault
    with pytest.raises(ValueError, match="line 2: a quotation mark is not closed"):
        parse_table(f'\na,b,"c{rest}', ["a", "b"])


@pytest.mark.parametrize("top", ["\n", " \r\n\n", "sep=;\r\n", "SEP=;\n\n", "sep=;\r"])
def test_lines_above_the_header_may_be_empty_or_state_the_separator(top: str) -> None:
    (row,) = parse_table(f"{top}a;b\n1,5;2\n", ["a", "b"])
    assert (row.line, row.cells) == (len(top.splitlines()) + 2, {"a": "1,5", "b": "2"})
    (other,) = parse_table("sep=,\na;b;c,d\n1,2\n", ["d"])
    assert other.cells == {"a;b;c": "1", "d": "2"}
