"""Setting of the checks: the device, a folder for their files, small games, and the time that is left."""

import time
from functools import cached_property
from pathlib import Path

import torch

from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import write_synthetic

GAMES = {"train": 2, "valid": 1, "test": 1}
DIMS = 64
MINUTES = 45
"""Length of a half."""
FEATURES = "synthetic"


class Setting:
    """Device, folder, games and time limit of the checks."""

    def __init__(self, device: torch.device, folder: Path, *, limit_s: float) -> None:
        """Start the clock.

        Args:
            device: Device to check.
            folder: Empty folder for the files of the checks.
            limit_s: Seconds after which no check may still run.
        """
        self.device, self.folder = device, folder
        self._end = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds until the time limit."""
        return self._end - time.monotonic()

    @property
    def has_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @cached_property
    def games(self) -> Path:
        """Folder of a small synthetic data set."""
        write_synthetic(self.folder / "games", games=GAMES, dims=DIMS, minutes=MINUTES)
        return self.folder / "games"

    @property
    def cache(self) -> Path:
        """Folder of memory-mapped splits."""
        return self.folder / "cache"

    @cached_property
    def train(self) -> Store:
        """Training split of the games."""
        return self._split("train")

    @cached_property
    def valid(self) -> Store:
        """Validation split of the games."""
        return self._split("valid")

    def _split(self, name: str) -> Store:
        return open_split(self.games, features=FEATURES, split=name, cache=self.cache)
