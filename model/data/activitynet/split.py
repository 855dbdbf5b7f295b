"""Videos of a subset with their features, for training and scoring."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.activitynet.annotations import Video
from model.data.activitynet.features import Features
from model.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class VideoSplit:
    """Videos of one subset; features may be a mapped file and are never copied."""

    videos: tuple[Video, ...]
    features: Features
    """Features (videos, positions, dims)."""
    classes: tuple[str, ...] = ()
    """Class names of the columns of ``class_scores``."""
    class_scores: npt.NDArray[np.float64] | None = None
    """(videos, classes): scores of whole videos by another network, to score detections; None: no scores."""
    digest: str = ""
    """SHA-256 of the fields above for a split from the cache; else empty."""

    def __post_init__(self) -> None:
        count = len(self.videos)
        if self.features.ndim != 3 or len(self.features) != count:
            raise DataError(
                f"expected features ({count} videos, positions, dims), got shape {self.features.shape}"
            )
        if not any(len(video.segments_s) for video in self.videos):
            raise DataError(f"expected activities, found none in {count} videos")
        if self.class_scores is None:
            return
        if self.class_scores.shape != (count, len(self.classes)):
            wanted = f"({count} videos, {len(self.classes)} classes)"
            raise DataError(f"expected class scores {wanted}, got shape {self.class_scores.shape}")
        unknown = {label for video in self.videos for label in video.labels} - set(self.classes)
        if unknown:
            raise DataError(
                f"class scores are missing for the classes of activities: {', '.join(sorted(unknown))}"
            )

    @property
    def positions(self) -> int:
        """Number of temporal positions (T)."""
        return int(self.features.shape[1])

    @property
    def dims(self) -> int:
        """Length of the feature vector of a position."""
        return int(self.features.shape[2])
