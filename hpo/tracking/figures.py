"""Figures on their way into MLflow; who draws them is not its business."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFiles:
    """Files of the figures of a stage."""

    files: Mapping[str, bytes]
    """By name."""
    failures: tuple[str, ...] = ()
    """Figures that could not be drawn, and why."""
