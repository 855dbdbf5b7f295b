"""Encode annotations: zones, time-shift encoding (sections 3.1, 7.4) and YOLO-like targets (section 3.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from model.errors import ConfigError
from model.timeline import FARTHEST, NO_FUTURE, NO_PAST, FrameRate


@dataclass(frozen=True, slots=True)
class Zones:
    """Slicing parameters K1 < K2 < 0 < K3 < K4 of every class, in frames."""

    per_class: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        for index, row in enumerate(self.per_class):
            if fault := _fault(row):
                raise ConfigError(f"zones of class {index} must satisfy {fault}, got {_listed(row)} frames")

    @classmethod
    def from_seconds(
        cls, zones_s: Mapping[str, Sequence[float]], classes: Sequence[str], frame_rate: FrameRate
    ) -> "Zones":
        """Convert zones in seconds to frames, in the order of ``classes``.

        Args:
            zones_s: K1..K4 in seconds for each class name; ``default`` applies to classes not listed.
            classes: Class names.
            frame_rate: Converts seconds to frames.

        Raises:
            ConfigError: A class has no zones, not four values, or values that are, in frames, not ordered or
                further than ``FARTHEST``.
        """
        rows = []
        for name in classes:
            seconds = zones_s.get(name, zones_s.get("default"))
            if seconds is None or len(seconds) != 4:
                raise ConfigError(
                    f"zones of class {name!r}: expected four values K1, K2, K3, K4 in seconds", got=seconds
                )
            k1, k2, k3, k4 = (float(frame_rate.to_frames(value)) for value in seconds)
            if fault := _fault((k1, k2, k3, k4)):
                raise ConfigError(
                    f"zones of class {name!r} must satisfy {fault}, "
                    f"got {_listed((k1, k2, k3, k4))} frames at {frame_rate.per_second:g} per second "
                    f"({_listed(seconds)} s)",
                    fix=f"keep K1, K2, 0, K3 and K4 at least {frame_rate.to_seconds(1):g} s apart, "
                    f"and at most {frame_rate.to_seconds(FARTHEST):g} s from the action",
                )
            rows.append((k1, k2, k3, k4))
        return cls(tuple(rows))

    def tensor(self, device: torch.device | str = "cpu") -> Float[Tensor, "4 classes"]:
        """Return K1..K4 as rows, with one column per class."""
        return torch.tensor(self.per_class, dtype=torch.float32, device=device).T.contiguous()


def _fault(zones: tuple[float, float, float, float]) -> str:
    """Return the rule that zones in frames break; empty if there is none."""
    k1, k2, k3, k4 = zones
    if not k1 < k2 < 0 < k3 < k4:
        return "K1 < K2 < 0 < K3 < K4"
    # Distances beyond are not stored: a frame further away would count as one at the limit.
    return f"-{FARTHEST} <= K1 and K4 <= {FARTHEST}" if max(-k1, k4) > FARTHEST else ""


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def time_shift(
    past: Int[Tensor, "*frames classes"],
    future: Int[Tensor, "*frames classes"],
    zones: Float[Tensor, "4 *#frames classes"],
) -> Float[Tensor, "*frames classes"]:
    """Compute the time-shift encoding s of every frame and class, in frames (section 7.4).

    Args:
        past: Frames since the closest action at or before the frame, 0 on the action; ``NO_PAST`` if there
            is none.
        future: Minus the number of frames until the closest action after the frame; ``NO_FUTURE`` if there
            is none.
        zones: Rows K1..K4.

    Returns:
        Shift from the action with the dominant influence; K1 where the half has no action of the class.
    """
    k1, k2, k3, k4 = zones
    s_past, s_future = past.to(k1.dtype), future.to(k1.dtype)
    nearer_to_past = (s_past - k3) / (k4 - k3) < (k2 - s_future) / (k2 - k1)
    in_transition = (s_past < k4) & ((s_future <= k1) | nearer_to_past)
    only_past = future == NO_FUTURE
    shift = torch.where((s_past < k3) | in_transition | only_past, s_past, s_future)
    return torch.where(only_past & (past == NO_PAST), k1, shift)


@dataclass(frozen=True, slots=True)
class SpottingTargets:
    """Targets of the spotting module for a batch of chunks: the first columns of the paper's Y."""

    location: Float[Tensor, "batch targets"]
    """Frame index of the action divided by N_F; 0 in padding."""
    class_index: Int[Tensor, "batch targets"]
    """Class of the action; 0 in padding."""
    is_action: Bool[Tensor, "batch targets"]
    """True for an action, False for padding; actions come first."""


def spotting_targets(is_action: Bool[Tensor, "frames batch classes"], predictions: int) -> SpottingTargets:
    """Encode the actions of every chunk as YOLO-like targets (section 3.1).

    Actions are ordered by frame, then class, as in both published codes: if two actions are equally close
    to a prediction, the first one keeps it. A chunk with more than ``predictions`` actions keeps the first
    ``predictions`` of them (the paper found no such chunk).
    """
    frames, _, classes = is_action.shape
    by_chunk = is_action.transpose(0, 1).flatten(1)
    numbers = by_chunk.shape[1]
    # The first true numbers of every row, in order, without asking how many there are: a GPU would wait.
    remaining = torch.arange(numbers, 0, -1, device=is_action.device)
    first = (by_chunk * remaining).topk(min(predictions, numbers), dim=1).values
    if first.shape[1] < predictions:
        first = functional.pad(first, (0, predictions - first.shape[1]))
    filled = first > 0
    index = torch.where(filled, numbers - first, 0)
    return SpottingTargets(index // classes / frames, index % classes, filled)
