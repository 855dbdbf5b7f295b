"""Broken documents, made from valid ones: wrong types, huge numbers, lost or doubled keys, stray bytes."""

import copy
import json
import math
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Document = Any
Path = tuple[str | int, ...]

_NUMBERS = (0, -1, 1e308, 5e-324, -0.0, 10**400, -(10**30), 2**63, math.nan, math.inf, -math.inf)
_TEXTS = (
    "",
    "\x00",
    "\ud800",
    "\u202e",
    "\U0001f409",
    "1e9999",
    "../..",
    "/etc/passwd",
    "a" * 3000,
    "٣",
    "[",
    "*",
)


def _nest(depth: int) -> Document:
    return json.loads("[" * depth + "]" * depth)


strange: st.SearchStrategy[Document] = st.one_of(
    st.sampled_from(_NUMBERS),
    st.sampled_from((*_TEXTS, None, True, False, [], {})),
    st.sampled_from((40, 60, 400)).map(_nest),
    st.one_of(st.integers(), st.floats(), st.text(max_size=20)),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)


@st.composite
def mutated(draw: st.DrawFn, valid: st.SearchStrategy[Document]) -> Document:
    """A valid document with one to three places changed, lost, doubled or added."""
    document = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(document)))
        document = _changed(draw, document, path)
    return document


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """A file cut short, with bytes lost, put in or changed, or a line or key doubled."""
    content = draw(contents)
    kind = draw(st.sampled_from(("cut", "stray", "lost", "other", "twice", "key")))
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 20)))
    match kind:
        case "cut":
            return content[:start]
        case "stray":
            return content[:start] + draw(st.binary(min_size=1, max_size=8)) + content[start:]
        case "lost":
            return content[:start] + content[end:]
        case "other":
            other = draw(st.binary(min_size=1, max_size=4))
            return content[:start] + other + content[start + len(other) :]
        case "twice":
            return content[:end] + content[start:]
    keys = list(re.finditer(rb'"\w+": ', content))
    if not keys:
        return content
    key = draw(st.sampled_from(keys))
    return content[: key.start()] + key[0] + b"[], " + content[key.start() :]


def files(valid: st.SearchStrategy[Document], write: Callable[[Document], bytes]) -> st.SearchStrategy[bytes]:
    """Valid documents as ``write`` writes them, mutated ones, damaged files of both, and any bytes."""
    sound = valid.map(write)
    wrong = mutated(valid).map(write)
    return st.one_of(sound, wrong, wrong, damaged(sound), damaged(wrong), st.binary(max_size=200))


def to_json(document: Document) -> bytes:
    """JSON as Python writes it: with NaN and lone surrogates where a document has them."""
    return json.dumps(document).encode()


def from_json(content: bytes) -> Document:
    """What the file says, read by Python alone; fails where one of two equal keys would be lost."""
    return json.loads(content, object_pairs_hook=_without_twins)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), "one of two equal keys was lost"
    return dict(pairs)


def to_toml(document: Document) -> bytes:
    """TOML, as far as it can hold the document."""
    if not isinstance(document, dict):
        return _toml(document).encode("utf-8", "replace")
    return "\n".join(f"{_toml(key)} = {_toml(value)}" for key, value in document.items()).encode(
        "utf-8", "replace"
    )


def _toml(value: Document) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case dict():
            return "{" + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _paths(document: Document, here: Path = ()) -> list[Path]:
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [here, *(path for key, value in inside for path in _paths(value, (*here, key)))]


def _changed(draw: st.DrawFn, document: Document, path: Path) -> Document:
    if not path:
        return draw(strange) if draw(st.integers(0, 9)) == 0 else document
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    kind = draw(st.sampled_from(("replace", "replace", "replace", "lose", "add", "swap")))
    if kind == "lose":
        del parent[key]
    elif kind == "replace":
        parent[key] = draw(strange)
    elif kind == "swap":
        parent[key] = [parent[key]] if draw(st.booleans()) else str(parent[key])
    elif isinstance(parent, list):
        parent.insert(int(key), draw(strange) if draw(st.booleans()) else copy.deepcopy(parent[key]))
    else:
        parent[draw(st.text(max_size=8))] = draw(strange)
    return document
