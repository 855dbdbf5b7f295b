"""Words and formats of numbers in messages."""

import pytest

from model.wording import counted, described, printable, with_interval


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 studies"), (1, "1 study"), (2, "2 studies"), (1200, "1,200 studies")]
)
def test_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert counted(number, "study", "studies") == words


def test_interval_is_shown_only_where_there_is_one() -> None:
    assert with_interval(0.40123, 0.03) == "0.4012 ± 0.0300"
    assert with_interval(0.40123, None) == "0.4012"
    assert with_interval(0.021, 0.008, sign="+") == "+0.0210 ± 0.0080"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Köln gegen Bayern 4:0, C:\\x", "Köln gegen Bayern 4:0, C:\\x"),
        ("a\0b\tc\nd", r"a\x00b\tc\nd"),
        ("\x1b[31mred\x1b[2J", r"\x1b[31mred\x1b[2J"),
        ("Spiel_M\udcfcnchen.npy", r"Spiel_M\udcfcnchen.npy"),
        ("\u202ertl", r"\u202ertl"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown == printable(shown)
    assert shown.encode()


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\r\roverwritten"), "ValueError: overwritten"),
        (ValueError(" "), "ValueError: no message"),
        (type("Odd\n[/bold]", (Exception,), {})("x"), r"Odd\n[/bold]: x"),
        (UnreadableError(), "UnreadableError: its message cannot be read"),
    ],
)
def test_error_is_described_in_one_line(error: Exception, line: str) -> None:
    assert described(error) == line
