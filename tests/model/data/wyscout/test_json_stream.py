import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.wyscout import json_stream
from model.data.wyscout.json_stream import read_elements

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), _VALUES, max_size=3), max_size=6)


def elements(text: str, *, chunk: int = 1 << 20) -> list[Any]:
    content = text.encode()
    return list(read_elements(content[at : at + chunk] for at in range(0, len(content), chunk)))


@settings(deadline=None)
@given(_OBJECTS, st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 30))
def test_any_list_of_objects_is_read_as_it_was_written_wherever_the_text_is_cut(
    objects: list[dict[str, Any]], indent: int | None, ascii_only: bool, chunk: int
) -> None:
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
    assert elements(text, chunk=chunk) == objects


@settings(deadline=None)
@given(_OBJECTS, st.data())
def test_a_text_that_stops_anywhere_is_an_error(objects: list[dict[str, Any]], data: st.DataObject) -> None:
    text = json.dumps(objects)
    stop = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ValueError):
        elements(text[:stop], chunk=7)


@pytest.mark.parametrize(
    "text", ["", "{}", "[{} {}]", "[{},]", "[,]", "[{}]]", "[{]", "[" * 100_000, '{"a": 1}', "[{}, oops]"]
)
def test_a_text_that_is_no_array_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        elements(text)


def test_bytes_that_are_not_utf8_are_an_error() -> None:
    with pytest.raises(ValueError):
        list(read_elements([b'[{"a": "\xff"}]']))


def test_an_endless_element_is_an_error_before_it_fills_the_memory() -> None:
    asked: list[int] = []

    def endless() -> Iterator[bytes]:
        yield b'[{"a": "'
        for number in range(1000):
            asked.append(number)
            yield b"x" * 50

    with patch.object(json_stream, "_MAX_ELEMENT_CHARACTERS", 100), pytest.raises(ValueError):
        list(read_elements(endless()))
    assert len(asked) < 5
