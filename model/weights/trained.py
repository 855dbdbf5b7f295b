"""Trained network with everything needed to use it, and its file format."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from model.data.stores.store import Store
from model.encoding import Zones
from model.errors import ConfigError, DataError, StorageError
from model.inference.durations import NMS_WINDOW_S
from model.metrics.average_map import LOOSE_TOLERANCES_S
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.recipe import Recipe
from model.timeline import FrameRate
from model.training.checkpoint import load_checkpoint, save_checkpoint

Origin = Literal["study", "published-2020", "published-2021"]
"""Origin of the weights: a study of this project, the original code (2020) or the re-release (2021).

The re-release inverts its segmentation: its scores are low just after an action.
"""

_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetwork:
    """Network with its classes, frame rate and zones."""

    network: CalfNetwork
    classes: tuple[str, ...]
    frame_rate: FrameRate
    zones: Zones | None = None
    """Zones that the network was trained with; None if its file does not contain them."""
    tolerances_s: tuple[float, ...] = LOOSE_TOLERANCES_S
    """Tolerances of the score of its study in seconds, as full widths."""
    nms_window_s: float | None = None
    """Width of the suppression in that score in seconds; None: the width of each tolerance."""
    origin: Origin = "study"
    stem: str | None = None
    """Stem of the feature files that it was trained on; None if its file does not say."""
    labels: str | None = None
    """Version of SoccerNet's labels that it was trained on; None for other labels."""
    label_texts: tuple[str, ...] = ()
    """The label of every class in label files; empty if its file does not say."""
    recipe: Recipe | None = None
    """Recipe by which its features were extracted from videos; None if its file does not say."""
    train_digest: str = ""
    """Digest of the training data; empty if its file does not say."""

    def __post_init__(self) -> None:
        if len(self.classes) != self.network.config.classes:
            raise ConfigError(
                f"expected {self.network.config.classes} class names, one per class of the network, "
                f"got {len(self.classes)}: {', '.join(self.classes)}"
            )
        if "" in self.classes or len(set(self.classes)) < len(self.classes):
            names = ", ".join(map(repr, self.classes))
            raise ConfigError(f"expected different class names, none of them empty, got {names}")

    @property
    def spots_window_s(self) -> float:
        """Width in seconds of the suppression for spots that people see.

        It is that of the study's score. Where that depends on the tolerance, it is the widest one, but at
        most ``NMS_WINDOW_S``: spots of a sport are kept apart if its score tells them apart.
        """
        return self.nms_window_s or min(NMS_WINDOW_S, self.tolerances_s[-1])

    def check_fits(self, store: Store) -> None:
        """Check that the network can score ``store``.

        Raises:
            ConfigError: The store has other features, classes or frame rate than the training data.
        """
        expected = (self.network.config.input_size, self.classes, self.frame_rate.per_second)
        found = (store.dims, store.classes, store.frame_rate.per_second)
        names = ("dimensions per frame", "classes", "frames per second")
        wrong = [
            f"{name}: expected {_text(ours)}, got {_text(theirs)}"
            for name, ours, theirs in zip(names, expected, found, strict=True)
            if ours != theirs
        ]
        if wrong:
            raise ConfigError(f"the data does not fit the network; {'; '.join(wrong)}")

    def check_stem(self, stem: str, *, forced: bool = False) -> None:
        """Check that the network was trained on features of this stem, as far as its file says.

        Args:
            stem: Stem of the features to read.
            forced: Whether to accept any other stem.

        Raises:
            ConfigError: It was trained on other features.
        """
        if not forced and self.stem is not None and stem != self.stem:
            raise ConfigError(
                f"the network was trained on the features {self.stem}, got {stem}",
                fix=f"use --features {self.stem}; --force-features reads {stem} all the same",
            )

    def check_recipe(self, found: Recipe | None) -> None:
        """Check that features were extracted from videos as those of the training, if both are known.

        Raises:
            ConfigError: Something of the recipe differs; every difference is named.
        """
        if self.recipe is not None and found is not None:
            self.recipe.check_equal(
                found, what="the features were extracted by another recipe than those of the training"
            )

    def upright(
        self, segmentation: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """Return segmentation scores that are high just after an action, for every origin of the network."""
        if self.origin == "published-2021":
            return tuple(1 - scores for scores in segmentation)
        return segmentation

    def save(self, path: Path, **notes: Any) -> None:
        """Save the network and ``notes`` (numbers, strings, lists, dictionaries) to ``path`` atomically."""
        zones = None if self.zones is None else [list(row) for row in self.zones.per_class]
        content = {
            "network": self.network.state_dict(),
            "network_config": asdict(self.network.config),
            "classes": list(self.classes),
            "frame_rate": self.frame_rate.per_second,
            "zones_frames": zones,
            "tolerances_s": list(self.tolerances_s),
            "nms_window_s": self.nms_window_s,
            "origin": self.origin,
            "stem": self.stem,
            "labels": self.labels,
            "label_texts": list(self.label_texts),
            "train_digest": self.train_digest,
            "recipe": None if self.recipe is None else self.recipe.table(),
        }
        save_checkpoint(path, {**content, **notes})

    @classmethod
    def load(cls, path: Path) -> "TrainedNetwork":
        """Load a network that ``save`` wrote; no code of the file is executed.

        Raises:
            DataError: The file is missing or does not contain a network of this project.
        """
        fix = (
            "give the best.pt file of a trial of the task calf, or import a published network: "
            "hpo import-weights FILE"
        )
        try:
            content = load_checkpoint(path)
            if "network" in content and "network_config" not in content:
                raise DataError("expected a network for action spotting, got one of another task", file=path)
            return cls._from_content(content)
        except DataError as error:
            error.details["fix"] = fix
            raise
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # torch raises many types for sizes and names that do not fit
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(
                f"this file does not contain a trained network: {reason:.200}", file=path, fix=fix
            ) from error

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> "TrainedNetwork":
        settings = content["network_config"]
        if any(isinstance(value, int | float) and abs(value) >= _LARGEST for value in settings.values()):
            raise ValueError("expected network settings within 64 bits")
        config = NetworkConfig(**settings)
        network = CalfNetwork(config, torch.Generator())
        network.load_state_dict(content["network"])
        zones = content["zones_frames"]
        origin: Origin = content["origin"]
        if origin not in get_args(Origin):
            raise ValueError(f"unknown origin {origin!r:.60}")
        # Files of older versions do not name their features.
        texts, stem, labels = (content.get(key) for key in ("label_texts", "stem", "labels"))
        strings = [*content["classes"], *(texts or ()), stem or "", labels or ""]
        if not all(isinstance(name, str) for name in strings):
            raise ValueError("expected strings as names of classes, labels and features")
        if texts and len(texts) != len(content["classes"]):
            raise ValueError(f"expected one label per class, got {len(texts)}")
        tolerances_s, window_s = _score_widths(content)
        return cls(
            network=network,
            classes=tuple(content["classes"]),
            frame_rate=FrameRate(content["frame_rate"]),
            zones=None if zones is None else Zones(tuple(tuple(row) for row in zones)),
            tolerances_s=tolerances_s,
            nms_window_s=window_s,
            origin=origin,
            stem=stem,
            labels=labels,
            label_texts=tuple(texts or ()),
            train_digest=str(content.get("train_digest", "")),
            recipe=None if content.get("recipe") is None else Recipe.read(content["recipe"]),
        )


def _score_widths(content: dict[str, Any]) -> tuple[tuple[float, ...], float | None]:
    """Return tolerances and suppression of the study's score; files of older versions have none."""
    tolerances_s, window_s = content.get("tolerances_s", LOOSE_TOLERANCES_S), content.get("nms_window_s")
    widths_s = [*tolerances_s] if window_s is None else [*tolerances_s, window_s]
    if not tolerances_s or not all(isinstance(width, float) and 0 < width < math.inf for width in widths_s):
        raise ValueError("expected tolerances and suppression in seconds, numbers above 0")
    return tuple(tolerances_s), window_s


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else f"{value:g}"
