"""Stack of several networks: their weights are rows of one table, padded to the largest f and r."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate, pairwise
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from model.errors import ConfigError
from model.networks.calf import CalfNetwork
from model.networks.calf_config import PYRAMID_OUTPUTS, NetworkConfig
from model.networks.forward import StackForward, Statistics, first_tap

ALIGNMENT = 64
"""Number of values to whose multiples every weight is aligned, for fast matrix products."""

STATISTICS = ("norm.running_mean", "norm.running_variance")
_OWN = ("class_features", "receptive_field_frames")
"""Settings in which networks of a stack may differ: f and r."""
_SHARED = tuple(each.name for each in fields(NetworkConfig) if each.name not in _OWN)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a network's weight and where it lies in that of the stack."""

    name: str
    own: tuple[slice, ...]
    stacked: str
    place: tuple[slice, ...]


class Layout:
    """Layout of the weights of every network of a stack in one row of numbers."""

    def __init__(self, configs: Sequence[NetworkConfig]) -> None:
        """Lay out the weights of networks with ``configs``.

        Raises:
            ConfigError: The networks differ in more than f and r.
        """
        check_stackable(configs)
        self.configs = tuple(configs)
        self._largest = max(configs, key=lambda config: config.class_features)
        self._taps = max(config.receptive_field_frames for config in configs)
        self._shapes = self._stacked_shapes()
        sizes = [math.ceil(math.prod(shape) / ALIGNMENT) * ALIGNMENT for shape in self._shapes.values()]
        places = pairwise(accumulate(sizes, initial=0))
        self._offsets = {name: first for name, (first, _) in zip(self._shapes, places, strict=True)}
        self.size = sum(sizes)

    def _stacked_shapes(self) -> dict[str, tuple[int, ...]]:
        with torch.device("meta"):
            network = CalfNetwork(self._largest, torch.Generator())
        shapes = {
            name: tuple(value.shape) for name, value in network.named_parameters() if "pyramid." not in name
        }
        return {**shapes, "pyramid": (self._taps, 32, sum(PYRAMID_OUTPUTS))}

    def views(self, table: Float[Tensor, "slots size"]) -> dict[str, Tensor]:
        """Return the weights of all slots as views of ``table``, by name, slots first."""
        views = {}
        for name, shape in self._shapes.items():
            first = self._offsets[name]
            views[name] = table[:, first : first + math.prod(shape)].view(len(table), *shape)
        return views

    def table(self, weights: Sequence[Mapping[str, Tensor]]) -> Float[Tensor, "slots size"]:
        """Lay out the weights of all networks in a new table on the CPU."""
        table = torch.zeros(len(self.configs), self.size)
        views = self.views(table)
        for slot, (config, own) in enumerate(zip(self.configs, weights, strict=True)):
            for piece in self._pieces(config):
                views[piece.stacked][slot][piece.place].copy_(own[piece.name][piece.own])
        return table

    def read(self, table: Float[Tensor, "slots size"], slot: int) -> dict[str, Tensor]:
        """Copy the weights of one network from its row of ``table`` to the CPU."""
        views = self.views(table.detach()[slot : slot + 1].cpu())
        parts: dict[str, list[Tensor]] = {}
        for piece in self._pieces(self.configs[slot]):
            parts.setdefault(piece.name, []).append(views[piece.stacked][0][piece.place])
        # Only the input of the spotting module lies in two parts, along its channels.
        return {name: torch.cat(found, dim=min(1, found[0].dim() - 1)) for name, found in parts.items()}

    def taps_mask(self) -> Float[Tensor, "slots taps 1 outputs"]:
        """Return a mask of the pyramid's taps: 1 for taps of a network, 0 for padding."""
        mask = torch.zeros(len(self.configs), self._taps, 1, sum(PYRAMID_OUTPUTS))
        for slot, config in enumerate(self.configs):
            for piece in self._pieces(config):
                if piece.stacked == "pyramid":
                    mask[slot, piece.place[0], :, piece.place[2]] = 1.0
        return mask

    def _pieces(self, config: NetworkConfig) -> Iterator[_Piece]:
        everything = slice(None)
        columns, most = config.columns, self._largest.columns
        for name in self._shapes:
            if name == "pyramid":
                yield from self._kernels(config)
            elif name == "class_features.kernel":
                yield _Piece(name, (everything,), name, (everything, everything, slice(columns)))
            elif name == "class_features.bias":
                yield _Piece(name, (everything,), name, (slice(columns),))
            elif name == "spot_1.kernel":
                yield _Piece(name, (everything, slice(columns)), name, (everything, slice(columns)))
                yield _Piece(name, (everything, slice(columns, None)), name, (everything, slice(most, None)))
            else:
                yield _Piece(name, (everything,), name, (everything,))

    def _kernels(self, config: NetworkConfig) -> Iterator[_Piece]:
        outputs = pairwise(accumulate(PYRAMID_OUTPUTS, initial=0))
        for level, (taps, columns) in enumerate(zip(config.kernel_lengths, outputs, strict=True)):
            first = first_tap(taps, self._taps)
            place = (slice(first, first + taps), slice(None), slice(*columns))
            yield _Piece(f"pyramid.{level}", (slice(None),), "pyramid", place)


class Stack:
    """Stack of networks on a device, computed together."""

    def __init__(
        self, networks: Sequence[CalfNetwork], device: torch.device, cohorts: Sequence[int] = ()
    ) -> None:
        """Copy the weights of ``networks`` to ``device``; see ``StackForward`` for ``cohorts``.

        Raises:
            ConfigError: The networks differ in more than f and r.
        """
        self.configs = tuple(network.config for network in networks)
        self.layout = Layout(self.configs)
        self.table = torch.zeros(len(networks), self.layout.size, device=device)
        running = torch.zeros(2, len(networks), self.configs[0].chunk_frames, device=device)
        self.statistics = Statistics(running[0], running[1])
        self.fill(networks)
        self.weights = self.layout.views(self.table)
        self.forward = StackForward(self.configs, self.weights, cohorts)

    @torch.no_grad()
    def fill(self, networks: Sequence[CalfNetwork]) -> None:
        """Copy the weights and statistics of networks of the same sizes, into the same device memory."""
        states = [network.state_dict() for network in networks]
        self.table.copy_(self.layout.table(states))
        for part, name in zip((self.statistics.mean, self.statistics.variance), STATISTICS, strict=True):
            part.copy_(torch.stack([state[name] for state in states]))

    def read(self, slot: int) -> dict[str, Tensor]:
        """Return the state of one network, as ``CalfNetwork.state_dict`` does."""
        running = (self.statistics.mean, self.statistics.variance)
        found = {name: part[slot].cpu().clone() for name, part in zip(STATISTICS, running, strict=True)}
        return {**self.layout.read(self.table, slot), **found}


def group_for_device(items: Sequence[T], device: torch.device) -> list[list[T]]:
    """Group ``items`` into stacks for ``device``: all in one stack on a GPU, each alone on a CPU.

    A GPU waits for the host between small products. On a CPU a stack takes as long as its networks one by
    one, and networks that are computed alone give the same numbers to the last bit in any company.
    """
    return [list(items)] if device.type == "cuda" else [[item] for item in items]


class StatisticsEstimate:
    """Estimate of the statistics over many batches, as if they were one batch."""

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._chunks = 0

    def add(self, statistics: Statistics, chunks: int) -> None:
        """Add the statistics of a batch of ``chunks`` chunks."""
        square = statistics.variance + statistics.mean.square()
        self._sums.append(torch.stack([statistics.mean, square]) * chunks)
        self._chunks += chunks

    def result(self) -> tuple[Float[Tensor, "slots frames"], Float[Tensor, "slots frames"]]:
        """Return mean and variance over all batches, on the CPU."""
        mean, square = (torch.stack(self._sums).sum(dim=0) / self._chunks).cpu()
        return mean, (square - mean.square()).clamp_min(0.0)


def check_stackable(configs: Sequence[NetworkConfig]) -> None:
    """Check that networks can be computed as one stack.

    Raises:
        ConfigError: The networks differ in more than f and r.
    """
    for name in _SHARED:
        values = {getattr(config, name) for config in configs}
        if len(values) > 1:
            raise ConfigError(f"networks of one stack must share {name}, got {sorted(values, key=str)}")
