"""Figures of a stage as files for MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFiles:
    """Figures of a stage, drawn to files."""

    files: Mapping[str, bytes]
    """File name -> content."""
    failures: tuple[str, ...] = ()
    """Names of figures that could not be drawn, each with its reason."""
