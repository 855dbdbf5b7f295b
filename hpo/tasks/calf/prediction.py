"""Prediction of the spots of one half whose features are in memory."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from model.data.single_game import Wanted, half_in_memory
from model.inference.evaluation import find_spots
from model.spots import suppress
from model.weights.trained import TrainedNetwork

if TYPE_CHECKING:
    import pandas as pd


def spots_of_half(trained: TrainedNetwork, features: Any) -> "pd.DataFrame":
    """Return the spots of a half as a table: ``time_s``, ``label``, ``confidence``; most confident first.

    Args:
        trained: The network.
        features: Features of the half (frames, dimensions).

    Raises:
        DataError: The features do not fit the network.
    """
    import pandas as pd

    wanted = Wanted(
        dims=trained.network.config.input_size,
        frame_rate=trained.frame_rate,
        classes=trained.classes,
        stem=trained.stem,
    )
    store = half_in_memory(np.asarray(features, dtype=np.float32), wanted)
    found = find_spots(trained.network, store, precision="float32", device=torch.device("cpu"))
    spots = suppress(found, trained.frame_rate.to_frames(trained.spots_window_s))
    order = spots.score.argsort(kind="stable")[::-1]
    return pd.DataFrame(
        {
            "time_s": [trained.frame_rate.to_seconds(int(spots.frame[index])) for index in order],
            "label": [trained.classes[spots.class_index[index]] for index in order],
            "confidence": spots.score[order].astype(np.float64),
        }
    )
