"""Small data sets on disk, whole and broken."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.layout.description import builtin_description, write_description
from model.data.layout.game_files import write_game
from model.data.layout.split_lists import write_split

FRAMES = 300
EACH_CLASS = (
    {"gameTime": "1 - 00:10", "label": "soccer-ball"},
    {"gameTime": "1 - 00:30", "label": "y-card"},
    {"gameTime": "2 - 01:00", "label": "substitution-in", "visibility": "not shown"},
)


@pytest.fixture
def write_dataset() -> Callable[..., Path]:
    """Writes small data sets, see ``_write_dataset``."""
    return _write_dataset


def _write_dataset(
    root: Path,
    splits: Mapping[str, int],
    *,
    annotations: Sequence[Mapping[str, Any]] = EACH_CLASS,
    frames: int = FRAMES,
    dims: int = 4,
    dtype: type = np.float32,
) -> Path:
    """Write ``splits`` (split -> games) of random features in the layout of the Wyscout description."""
    description = builtin_description("wyscout")
    root.mkdir(parents=True, exist_ok=True)
    write_description(root, description)
    rng = np.random.default_rng(3)
    for split, count in splits.items():
        games = [f"league/{split}/game-{number}" for number in range(count)]
        for game in games:
            halves = [rng.normal(size=(frames, dims)).astype(dtype) for _ in range(2)]
            write_game(
                root, game, stem="EVENTS", halves=halves, annotations=annotations, labels_file="Labels.json"
            )
        write_split(root, description, split, games)
    return root
