"""Shape of the data of the task ``calf``."""

from dataclasses import dataclass

from hpo.tasks.base.splits import DataShape
from model.recipe import Recipe
from model.timeline import FrameRate


@dataclass(frozen=True, slots=True, kw_only=True)
class GamesShape(DataShape):
    """Properties of games that the settings of a trial depend on."""

    frame_rate: FrameRate
    """Feature vectors per second of video."""
    stem: str | None = None
    """Stem of the feature files; None in records of older versions."""
    labels: str | None = None
    """Version of SoccerNet's labels; None for other labels."""
    label_texts: tuple[str, ...] = ()
    """The label of every class in label files."""
    digest: str = ""
    """Digest of the split."""
    recipe: Recipe | None = None
    """Recipe by which the features were extracted from videos; None if the data set does not say."""
