"""Bounds of a space as a user types them (``--space alpha2=0.5..200``)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.space.symbols import symbol
from model.errors import ConfigError

MORE = 10
"""Configurations that a search that has ended gets in a wider space, unless their number is typed."""
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>.+)")


def with_bounds(space: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """Return the tables of a space with other bounds, choices or fixed values.

    Args:
        space: Hyperparameter -> its table in the study file.
        typed: Texts such as ``alpha2=0.5..200`` (keeps type and scale), ``f=8,16`` and ``f=16``.

    Raises:
        ConfigError: A text cannot be read, or the space has no such hyperparameter.
    """
    names = {symbol(name): name for name in space} | {name: name for name in space}
    changed = dict(space)
    for text in typed:
        given, is_one, values = text.partition("=")
        if not is_one or not values:
            raise ConfigError(f"expected --space NAME=LOW..HIGH such as alpha2=0.5..200, got {text!r}")
        if given not in names:
            raise ConfigError(f"the space has no {given!r}", known=", ".join(map(symbol, space)))
        changed[names[given]] = _changed(space[names[given]], values, text)
    return changed


def _changed(table: Mapping[str, Any], values: str, text: str) -> dict[str, Any]:
    condition = {"when": table["when"]} if table.get("when") else {}
    bounds = _RANGE.fullmatch(values)
    if bounds is None:
        return {
            "type": "choice",
            "choices": [_value(entry.strip()) for entry in values.split(",")],
            **condition,
        }
    if "low" not in table:
        raise ConfigError(f"expected values with commas for a choice, such as f=8,16, got {text!r}")
    low, high = _value(bounds["low"]), _value(bounds["high"])
    if isinstance(low, str) or isinstance(high, str):
        raise ConfigError(f"expected numbers as bounds, got {text!r}")
    return {**table, "low": low, "high": high}


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
