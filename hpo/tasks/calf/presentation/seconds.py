"""Frames of a study's data in seconds."""

from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tasks.calf.settings import GamesShape


def to_seconds(frames: float, view: StageView) -> float:
    """Convert ``frames`` at the frame rate of the data into seconds."""
    assert isinstance(view.shape, GamesShape), "stages of action spotting run on games"
    return frames / view.shape.frame_rate.per_second
