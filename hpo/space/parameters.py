"""Hyperparameters of a search space: bounds, scale, and position on the unit interval.

A searcher works on numbers between 0 and 1. A parameter converts such a number into a value and back. For
whole numbers and choices, the interval is divided into one cell per value. All cells are equally wide, except
on a logarithmic scale, where they become narrower as values grow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ConfigError

Value = int | float | str
"""Type of a hyperparameter's value."""


@dataclass(frozen=True, slots=True)
class FloatParameter:
    """A real number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: The bounds are not finite or not in order, or a logarithmic scale reaches 0.
    """

    name: str
    low: float
    high: float
    log: bool = False
    """True for a logarithmic scale: equal ratios, not equal differences, are equally far apart."""

    def __post_init__(self) -> None:
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise ConfigError(
                f"expected low above 0 for a logarithmic scale, got {self.low}", parameter=self.name
            )

    def from_unit(self, u: float) -> float:
        """Return the value at position ``u``: 0 is low, 1 is high. Positions outside [0, 1] are clipped."""
        if u <= 0 or u >= 1:  # exactly: exp(log(low)) may lie beside low
            return float(self.low if u <= 0 else self.high)
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        value = low + u * (high - low)
        return float(min(max(math.exp(value) if self.log else value, self.low), self.high))

    def to_unit(self, value: Value) -> float:
        """Return the position of ``value`` between low (0) and high (1)."""
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        return min(max((_scaled(_number(value), self.log) - low) / (high - low), 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is a number within the bounds."""
        if isinstance(value, str | bool):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class IntParameter:
    """A whole number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: The bounds are not in order, or a logarithmic scale reaches 0.
    """

    name: str
    low: int
    high: int
    log: bool = False
    """True for a logarithmic scale: equal ratios, not equal differences, are equally far apart."""

    def __post_init__(self) -> None:
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low < 1:
            raise ConfigError(
                f"expected low above 0 for a logarithmic scale, got {self.low}", parameter=self.name
            )

    def from_unit(self, u: float) -> int:
        """Return the whole number whose cell contains ``u``. Positions outside [0, 1] are clipped."""
        edge, width = self._first_edge_and_width()
        value = edge + min(max(u, 0.0), 1.0) * width
        rounded = math.floor((math.exp(value) if self.log else value) + 0.5)
        return min(max(rounded, self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return a position inside the cell of ``value``."""
        edge, width = self._first_edge_and_width()
        return min(max((_scaled(_number(value), self.log) - edge) / width, 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is a whole number within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def values(self) -> Sequence[int]:
        """Return all values, lowest first."""
        return range(self.low, self.high + 1)

    def _first_edge_and_width(self) -> tuple[float, float]:
        # Half a step of room on either side, or the two outermost values would get half a cell only.
        edge = _scaled(self.low - 0.5, self.log)
        return edge, _scaled(self.high + 0.5, self.log) - edge


@dataclass(frozen=True, slots=True)
class ChoiceParameter:
    """One value of a list. Neighbours in the list are assumed to have similar scores.

    Raises:
        ConfigError: There are fewer than two choices, or a choice appears twice.
    """

    name: str
    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices):
            raise ConfigError(
                f"expected two or more different choices, got {list(self.choices)}", parameter=self.name
            )

    def from_unit(self, u: float) -> Value:
        """Return the choice whose cell contains ``u``. Positions outside [0, 1] are clipped."""
        cell = math.floor(min(max(u, 0.0), 1.0) * len(self.choices))
        return self.choices[min(cell, len(self.choices) - 1)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the cell of ``value``."""
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is one of the choices."""
        return value in self.choices

    def values(self) -> Sequence[Value]:
        """Return all choices, in the order given."""
        return self.choices


Parameter = FloatParameter | IntParameter | ChoiceParameter


def _require_bounds(name: str, low: float, high: float) -> None:
    if not (math.isfinite(high - low) and low < high):
        raise ConfigError(f"expected finite bounds with low below high, got {low} and {high}", parameter=name)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)
