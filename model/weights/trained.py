"""A trained network with all that is needed to use it, and its file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from model.data.store import Store
from model.encoding import Zones
from model.errors import ConfigError, DataError
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.timeline import FrameRate
from model.training.checkpoint import load_checkpoint, save_checkpoint

Origin = Literal["study", "published-2020", "published-2021"]
"""Who trained it: a study of this project, the original code or the re-release. The re-release trains its
segmentation upside down: its scores are low where an action has happened."""

_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetwork:
    """A network and what its outputs mean."""

    network: CalfNetwork
    classes: tuple[str, ...]
    frame_rate: FrameRate
    zones: Zones | None = None
    """Zones it was trained with; None where its file does not tell."""
    origin: Origin = "study"

    def __post_init__(self) -> None:
        if len(self.classes) != self.network.config.classes:
            raise ConfigError(
                f"expected {self.network.config.classes} class names, as many as the network has classes, "
                f"got {len(self.classes)}: {', '.join(self.classes)}"
            )

    def check_fits(self, store: Store) -> None:
        """Make sure that the network can score ``store``.

        Raises:
            ConfigError: Other features, classes or frame rate than it was trained on.
        """
        expected = (self.network.config.input_size, self.classes, self.frame_rate.per_second)
        came = (store.dims, store.classes, store.frame_rate.per_second)
        names = ("numbers a frame", "classes", "frames a second")
        wrong = [
            f"{name} {_words(theirs)} instead of {_words(ours)}"
            for name, ours, theirs in zip(names, expected, came, strict=True)
            if ours != theirs
        ]
        if wrong:
            raise ConfigError(f"the data does not fit the network: {'; '.join(wrong)}")

    def upright(
        self, segmentation: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """Segmentation scores of this network that are high just after an action, whoever trained it."""
        if self.origin == "published-2021":
            return tuple(1 - scores for scores in segmentation)
        return segmentation

    def save(self, path: Path, **notes: Any) -> None:
        """Write it to ``path`` atomically; ``notes`` (numbers, strings, lists, dictionaries) go along."""
        zones = None if self.zones is None else [list(row) for row in self.zones.per_class]
        content = {
            "network": self.network.state_dict(),
            "network_config": asdict(self.network.config),
            "classes": list(self.classes),
            "frame_rate": self.frame_rate.per_second,
            "zones_frames": zones,
            "origin": self.origin,
        }
        save_checkpoint(path, {**content, **notes})

    @classmethod
    def load(cls, path: Path) -> "TrainedNetwork":
        """Read what ``save`` wrote; runs no code from the file.

        Raises:
            DataError: No such file, or not a network of this project.
        """
        fix = "give the best.pt of a trial, or what hpo import-weights made of a published network"
        try:
            return cls._from_content(load_checkpoint(path))
        except DataError as error:
            error.details["fix"] = fix
            raise
        except Exception as error:  # torch raises many types for sizes and names that do not fit
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"this file holds no trained network: {reason:.200}", file=path, fix=fix
            ) from error

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> "TrainedNetwork":
        settings = content["network_config"]
        if any(abs(value or 0) >= _LARGEST for value in settings.values()):
            raise ValueError("expected settings of the network within 64 bits")
        config = NetworkConfig(**settings)
        network = CalfNetwork(config, torch.Generator())
        network.load_state_dict(content["network"])
        zones = content["zones_frames"]
        origin: Origin = content["origin"]
        if origin not in get_args(Origin):
            raise ValueError(f"unknown origin {origin!r:.60}")
        if not all(isinstance(name, str) for name in content["classes"]):
            raise ValueError("expected texts as names of the classes")
        return cls(
            network=network,
            classes=tuple(content["classes"]),
            frame_rate=FrameRate(content["frame_rate"]),
            zones=None if zones is None else Zones(tuple(tuple(row) for row in zones)),
            origin=origin,
        )


def _words(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else f"{value:g}"
