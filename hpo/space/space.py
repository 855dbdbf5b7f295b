"""A search space: several parameters side by side, seen as a cube with sides from 0 to 1."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter, Value
from model.errors import ConfigError

Parameters = dict[str, Value]
"""One point of a space: the value of each parameter, by name."""
UnitPoint = npt.NDArray[np.float64]
"""The same point on the unit cube: one number between 0 and 1 for each parameter, in the space's order."""

_KINDS = {FloatParameter: "float", IntParameter: "int", ChoiceParameter: "choice"}


class Space:
    """The parameters that a stage searches over.

    Args:
        parameters: In the order of the axes of the unit cube.

    Raises:
        ConfigError: No parameter at all, or two with one name.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        if not self.parameters:
            raise ConfigError("a space needs one parameter or more, got none")
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"parameters of a space need different names, got {', '.join(self.names)}")

    @property
    def dimensions(self) -> int:
        """Sides of the unit cube: one for each parameter."""
        return len(self.parameters)

    def from_unit(self, point: UnitPoint) -> Parameters:
        """The values at ``point`` (one number a parameter); numbers outside of [0, 1] count as the bound."""
        return {
            parameter.name: parameter.from_unit(float(u))
            for parameter, u in zip(self.parameters, point, strict=True)
        }

    def to_unit(self, parameters: Parameters) -> UnitPoint:
        """Where ``parameters`` lie on the unit cube; whole numbers and choices inside their cells."""
        return np.array([parameter.to_unit(parameters[parameter.name]) for parameter in self.parameters])

    def contains(self, parameters: Parameters) -> bool:
        """Whether ``parameters`` names exactly the parameters of this space, each within its bounds."""
        return parameters.keys() == set(self.names) and all(
            parameter.contains(parameters[parameter.name]) for parameter in self.parameters
        )

    def size(self) -> int | None:
        """How many points there are; None when a parameter is continuous."""
        axes = self._finite_axes()
        return None if axes is None else math.prod(len(axis) for axis in axes)

    def grid(self) -> Iterator[Parameters]:
        """Every point of a finite space, the last parameter changing fastest; none of a continuous one."""
        axes = self._finite_axes()
        points = itertools.product(*axes) if axes is not None else iter(())
        return (dict(zip(self.names, point, strict=True)) for point in points)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Each parameter as it is written in a study file, by name, in order."""
        described = {}
        for parameter in self.parameters:
            fields = {key: value for key, value in asdict(parameter).items() if key != "name"}
            described[parameter.name] = {"type": _KINDS[type(parameter)], **fields}
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Mapping[str, Any]]) -> Self:
        """The space that ``describe`` wrote, also after a trip through JSON."""
        kinds = {name: kind for kind, name in _KINDS.items()}
        parameters = []
        for name, fields in described.items():
            # JSON has no tuples.
            rest = {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in fields.items()}
            del rest["type"]
            parameters.append(kinds[fields["type"]](name, **rest))
        return cls(parameters)

    def digest(self) -> str:
        """A name for this space that changes with any bound, scale, type or the order of parameters."""
        text = json.dumps(list(self.describe().items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _finite_axes(self) -> list[Sequence[Value]] | None:
        axes: list[Sequence[Value]] = []
        for parameter in self.parameters:
            if isinstance(parameter, FloatParameter):
                return None
            axes.append(parameter.values())
        return axes
