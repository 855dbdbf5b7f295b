"""Recipe of features: everything that decides their numbers, beside the video."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from model.errors import ConfigError

PUBLISHED_MODEL = "resnet152.tv_in1k"
"""The network of the published features, by its name in timm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings that features of a video depend on; equal ones give equal features up to rounding."""

    model: str
    """Name of the network in timm, or the name of a file of one's own."""
    weights: str
    """SHA-256 of its weights, or of the file."""
    preprocessing: str
    """Size of the pictures in pixels, mean and deviation of their colours."""
    frame_rate: float
    """Features per second."""
    pca: str = ""
    """SHA-256 of the principal components; empty for the network's own outputs."""

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Recipe":
        """Build a recipe from the output of ``table``.

        Raises:
            ValueError: A key is missing or unknown, or a value has the wrong type.
        """
        known = {field.name for field in fields(cls)}
        if unknown := set(table) - known:
            raise ValueError(f"unknown key {min(unknown)!r:.60} (known: {', '.join(sorted(known))})")
        for name in sorted(known - {"pca"}):
            if name not in table:
                raise ValueError(f"{name} is missing")
        texts = {name: value for name, value in table.items() if name != "frame_rate"}
        rate = table["frame_rate"]
        if not all(isinstance(value, str) for value in texts.values()) or type(rate) not in (int, float):
            raise ValueError("expected texts, and a number as frame_rate")
        return cls(**texts, frame_rate=float(rate))

    def table(self) -> dict[str, str | float]:
        """Return plain values for TOML, JSON and checkpoints."""
        return {name: value for name, value in asdict(self).items() if value != ""}

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe."""
        return hashlib.sha256(json.dumps(self.table(), sort_keys=True).encode()).hexdigest()

    def check_equal(self, other: "Recipe", *, what: str) -> None:
        """Check that ``other`` is this recipe.

        Raises:
            ConfigError: It is another; every difference is named.
        """
        theirs = asdict(other)
        wrong = [
            f"{name}: expected {_short(value)}, got {_short(theirs[name])}"
            for name, value in asdict(self).items()
            if value != theirs[name]
        ]
        if wrong:
            raise ConfigError(f"{what}; {'; '.join(wrong)}")


def _short(value: object) -> str:
    text = str(value) or "none"
    return f"{text[:12]}..." if len(text) == hashlib.sha256().digest_size * 2 else text
