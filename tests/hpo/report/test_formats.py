import pytest

from hpo.report.formats import duration, value, values_tried


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3900, "1 h 05 min"),
        (90000, "1 d 01 h"),
        (-5, "0 s"),
    ],
)
def test_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_whole_numbers_stay_whole_and_others_have_four_digits() -> None:
    assert [value(number) for number in (16, 0.123456, 2.0)] == ["16", "0.1235", "2"]


def test_whole_numbers_held_as_floats_can_be_typed_again() -> None:
    assert [value(number) for number in (12345.0, -10000.0, 2e14)] == ["12345", "-10000", "200000000000000"]
    assert [value(number) for number in (1e20, 12345.6, float("inf"))] == ["1e+20", "1.235e+04", "inf"]
    assert values_tried({"type": "int", "low": 1, "high": 1234567}) == "whole numbers 1 to 1234567"


def test_texts_that_look_like_nothing_or_a_number_have_quotation_marks() -> None:
    texts = ["dice", "a b", "", " ", "1", "nan"]
    assert [value(text) for text in texts] == ["dice", "a b", "''", "' '", "'1'", "'nan'"]
    assert values_tried({"type": "choice", "choices": [1, "1"]}) == "one of 1, '1'"


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ({"type": "int", "low": 4, "high": 32, "log": True}, "whole numbers 4 to 32, logarithmic"),
        ({"type": "int", "low": 4, "high": 4, "log": True}, "fixed: 4"),
        ({"type": "float", "low": 0.0, "high": 2.5, "log": False}, "0 to 2.5"),
        ({"type": "choice", "choices": ["none"]}, "fixed: none"),
        (
            {"type": "choice", "choices": [8, 16], "when": {"loss": "bmn"}},
            "one of 8, 16, when loss = bmn",
        ),
    ],
)
def test_values_that_a_search_tries_are_described(axis: dict[str, object], text: str) -> None:
    assert values_tried(axis) == text
