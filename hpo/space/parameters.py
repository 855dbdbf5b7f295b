"""One hyperparameter: its bounds, its scale and its place on the unit interval.

A searcher works on numbers between 0 and 1. A parameter turns such a number into a value and back. Whole
numbers and choices own one cell of that interval for each value: all of one width, or narrowing as values
grow where the scale is logarithmic.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ConfigError

Value = int | float | str
"""What a hyperparameter may be."""


@dataclass(frozen=True, slots=True)
class FloatParameter:
    """A number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: Bounds that are not finite or not in order, or a logarithmic scale that reaches 0.
    """

    name: str
    low: float
    high: float
    log: bool = False
    """Whether equal ratios, not equal differences, are equally far apart."""

    def __post_init__(self) -> None:
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise ConfigError(f"a logarithmic scale needs low above 0, got {self.low}", parameter=self.name)

    def from_unit(self, u: float) -> float:
        """The value at ``u`` of the way from low (0) to high (1); ``u`` beyond counts as the bound."""
        if u <= 0 or u >= 1:  # exactly: exp(log(low)) may lie beside low
            return float(self.low if u <= 0 else self.high)
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        value = low + u * (high - low)
        return float(min(max(math.exp(value) if self.log else value, self.low), self.high))

    def to_unit(self, value: Value) -> float:
        """How far ``value`` lies from low (0) to high (1)."""
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        return min(max((_scaled(_number(value), self.log) - low) / (high - low), 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a number within the bounds."""
        if isinstance(value, str | bool):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class IntParameter:
    """A whole number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: Bounds that are not in order, or a logarithmic scale that reaches 0.
    """

    name: str
    low: int
    high: int
    log: bool = False
    """Whether equal ratios, not equal differences, are equally far apart."""

    def __post_init__(self) -> None:
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low < 1:
            raise ConfigError(f"a logarithmic scale needs low above 0, got {self.low}", parameter=self.name)

    def from_unit(self, u: float) -> int:
        """The whole number whose cell ``u`` falls into; ``u`` outside of [0, 1] counts as the bound."""
        edge, width = self._first_edge_and_width()
        value = edge + min(max(u, 0.0), 1.0) * width
        rounded = math.floor((math.exp(value) if self.log else value) + 0.5)
        return min(max(rounded, self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """A point inside the cell of ``value``."""
        edge, width = self._first_edge_and_width()
        return min(max((_scaled(_number(value), self.log) - edge) / width, 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a whole number within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def values(self) -> Sequence[int]:
        """Every value, lowest first."""
        return range(self.low, self.high + 1)

    def _first_edge_and_width(self) -> tuple[float, float]:
        # Half a step of room on either side, or the two outermost values would get half a cell only.
        edge = _scaled(self.low - 0.5, self.log)
        return edge, _scaled(self.high + 0.5, self.log) - edge


@dataclass(frozen=True, slots=True)
class ChoiceParameter:
    """One of several values, in the order given: neighbours are taken for similar.

    Raises:
        ConfigError: Fewer than two choices, or one that appears twice.
    """

    name: str
    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices):
            raise ConfigError(
                f"choices must be two or more different values, got {list(self.choices)}", parameter=self.name
            )

    def from_unit(self, u: float) -> Value:
        """The choice whose cell ``u`` falls into; ``u`` outside of [0, 1] counts as the bound."""
        cell = math.floor(min(max(u, 0.0), 1.0) * len(self.choices))
        return self.choices[min(cell, len(self.choices) - 1)]

    def to_unit(self, value: Value) -> float:
        """The middle of the cell of ``value``."""
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.choices

    def values(self) -> Sequence[Value]:
        """Every choice, in the order given."""
        return self.choices


Parameter = FloatParameter | IntParameter | ChoiceParameter


def _require_bounds(name: str, low: float, high: float) -> None:
    if not (math.isfinite(high - low) and low < high):
        raise ConfigError(f"low must be below high, both finite; got {low} and {high}", parameter=name)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)
