"""Search space: a set of parameters, mapped onto a cube with sides from 0 to 1."""

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
"""A point of a space: parameter name -> value."""
UnitPoint = npt.NDArray[np.float64]
"""A point on the unit cube, (dimensions,): one number between 0 and 1 per parameter, in the space's order."""

_KINDS = {FloatParameter: "float", IntParameter: "int", ChoiceParameter: "choice"}


class Space:
    """The parameters that a stage searches over.

    Args:
        parameters: In the order of the axes of the unit cube.

    Raises:
        ConfigError: There is no parameter, or two parameters have the same name.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        if not self.parameters:
            raise ConfigError("expected a space with one or more parameters, got none")
        if len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"expected parameters of a space with different names, got {', '.join(self.names)}"
            )

    @property
    def dimensions(self) -> int:
        """Number of parameters, which is the dimension of the unit cube."""
        return len(self.parameters)

    def from_unit(self, point: UnitPoint) -> Parameters:
        """Return the values at ``point``. Coordinates outside [0, 1] are clipped."""
        return {
            parameter.name: parameter.from_unit(float(u))
            for parameter, u in zip(self.parameters, point, strict=True)
        }

    def to_unit(self, parameters: Parameters) -> UnitPoint:
        """Return the position of ``parameters`` on the unit cube."""
        return np.array([parameter.to_unit(parameters[parameter.name]) for parameter in self.parameters])

    def contains(self, parameters: Parameters) -> bool:
        """Return whether ``parameters`` has exactly this space's names, with values within the bounds."""
        return parameters.keys() == set(self.names) and all(
            parameter.contains(parameters[parameter.name]) for parameter in self.parameters
        )

    def size(self) -> int | None:
        """Return the number of points, or None if a parameter is continuous."""
        axes = self._finite_axes()
        return None if axes is None else math.prod(len(axis) for axis in axes)

    def grid(self) -> Iterator[Parameters]:
        """Iterate over all points of a finite space, the last parameter changing fastest.

        A space with a continuous parameter yields no points.
        """
        axes = self._finite_axes()
        points = itertools.product(*axes) if axes is not None else iter(())
        return (dict(zip(self.names, point, strict=True)) for point in points)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the parameters as tables of a study file, by name, in order."""
        described = {}
        for parameter in self.parameters:
            fields = {key: value for key, value in asdict(parameter).items() if key != "name"}
            described[parameter.name] = {"type": _KINDS[type(parameter)], **fields}
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Mapping[str, Any]]) -> Self:
        """Build a space from the output of ``describe``, also after a round trip through JSON."""
        kinds = {name: kind for kind, name in _KINDS.items()}
        parameters = []
        for name, fields in described.items():
            # JSON has no tuples.
            rest = {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in fields.items()}
            del rest["type"]
            parameters.append(kinds[fields["type"]](name, **rest))
        return cls(parameters)

    def digest(self) -> str:
        """Return a hash that changes with any bound, scale or type and with the order of the parameters."""
        text = json.dumps(list(self.describe().items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _finite_axes(self) -> list[Sequence[Value]] | None:
        axes: list[Sequence[Value]] = []
        for parameter in self.parameters:
            if isinstance(parameter, FloatParameter):
                return None
            axes.append(parameter.values())
        return axes
