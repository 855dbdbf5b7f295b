"""Bounds of a space as a user gives them (``--space alpha2=0.5..200``, or a table in Python)."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from hpo.space.parameters import Value
from hpo.space.symbols import symbol
from model.errors import ConfigError

MORE = 10
"""Configurations that a search that has ended gets in a wider space, unless their number is typed."""
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>.+)")


Bounds = Sequence[str] | Mapping[str, Any]
"""Texts typed after ``--space``, or name -> bounds ``(low, high)``, choices ``[...]`` or a value."""


def with_bounds(space: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Return the tables of a space with other bounds, choices or fixed values.

    Args:
        space: Hyperparameter -> its table in the study file.
        bounds: Texts such as ``alpha2=0.5..200`` (keeps type and scale), ``f=8,16`` and ``f=16``, or a table
            of values, which are taken as they are.

    Raises:
        ConfigError: A text cannot be read, or the space has no such hyperparameter.
    """
    names = {symbol(name): name for name in space} | {name: name for name in space}
    changed = dict(space)
    are_texts = not isinstance(bounds, Mapping)
    for given, wanted in bounds.items() if isinstance(bounds, Mapping) else map(_name_and_values, bounds):
        if given not in names:
            raise ConfigError(f"the space has no {given!r}", known=", ".join(map(symbol, space)))
        table = space[names[given]]
        shown = repr(f"{given}={wanted}" if are_texts else {given: wanted})
        changed[names[given]] = _changed(table, _read(table, wanted) if are_texts else wanted, shown)
    return changed


def is_same_space(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether two spaces, given as complete tables by hyperparameter, have the same points."""
    return _unordered(before) == _unordered(after)


def _unordered(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a space without the order of choices."""
    return {
        name: {**table, "choices": frozenset(table["choices"])} if "choices" in table else table
        for name, table in space.items()
    }


def bounds_in_words(bounds: Bounds) -> list[str]:
    """Return bounds as they are typed after ``--space``."""
    if not isinstance(bounds, Mapping):
        return list(bounds)
    return [f"{name}={_in_words(wanted)}" for name, wanted in bounds.items()]


def _in_words(wanted: Any) -> str:
    if isinstance(wanted, tuple):
        return "..".join(map(str, wanted))
    return ",".join(map(str, wanted if isinstance(wanted, list) else [wanted]))


def _name_and_values(text: str) -> tuple[str, str]:
    given, is_one, values = text.partition("=")
    if not is_one or not values:
        raise ConfigError(f"expected --space NAME=LOW..HIGH such as alpha2=0.5..200, got {text!r}")
    return given, values


def _read(table: Mapping[str, Any], values: str) -> tuple[Value, Value] | list[Value]:
    """Return the bounds or choices that a text means; declared texts go before numbers and ranges."""
    declared = table.get("choices", ())
    texts = {choice.strip(): choice for choice in declared if isinstance(choice, str)}
    pieces = list(_pieces(values, texts))
    bounds = _RANGE.fullmatch(values)
    if bounds and not texts.keys() >= set(pieces):
        return _value(bounds["low"]), _value(bounds["high"])
    is_text = bool(declared) and all(isinstance(choice, str) for choice in declared)
    return [texts.get(piece, piece if is_text else _value(piece)) for piece in pieces]


def _pieces(values: str, texts: Collection[str]) -> Iterator[str]:
    """Yield what lies between commas; a declared text may have commas, and the longest one is meant."""
    words = values.split(",")
    while words:
        joined = [",".join(words[:length]).strip() for length in range(len(words), 0, -1)]
        piece = next((each for each in joined if each in texts), joined[-1])
        yield piece
        del words[: len(words) - joined.index(piece)]


def _changed(table: Mapping[str, Any], wanted: Any, shown: str) -> dict[str, Any]:
    condition = {"when": table["when"]} if table.get("when") else {}
    if not isinstance(wanted, tuple):
        choices = wanted if isinstance(wanted, list) else [wanted]
        return {"type": "choice", "choices": choices, **condition}
    if "low" not in table:
        raise ConfigError(f"expected choices such as f=8,16, for a choice has no bounds, got {shown}")
    if len(wanted) != 2 or not all(type(bound) in (int, float) for bound in wanted):
        raise ConfigError(f"expected two numbers as bounds, low and high, got {shown}")
    return {**table, "low": wanted[0], "high": wanted[1]}


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
