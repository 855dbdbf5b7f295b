"""Words and formats of numbers in messages."""

import pytest

from model.wording import counted, with_interval


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 studies"), (1, "1 study"), (2, "2 studies"), (1200, "1,200 studies")]
)
def test_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert counted(number, "study", "studies") == words


def test_interval_is_shown_only_where_there_is_one() -> None:
    assert with_interval(0.40123, 0.03) == "0.4012 ± 0.0300"
    assert with_interval(0.40123, None) == "0.4012"
    assert with_interval(0.021, 0.008, sign="+") == "+0.0210 ± 0.0080"
