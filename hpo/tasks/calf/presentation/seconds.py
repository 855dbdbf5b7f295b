"""Conversion of frames into seconds for tables and figures."""

from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tasks.calf.shape import GamesShape


def to_seconds(frames: float, view: StageView) -> float:
    """Convert ``frames`` into seconds by the frame rate of the data."""
    assert isinstance(view.shape, GamesShape), "stages of action spotting run on games"
    return frames / view.shape.frame_rate.per_second
