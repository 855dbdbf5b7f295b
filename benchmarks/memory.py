"""Host memory of a training process on data of SoccerNet's size: 500 games, 512 dimensions.

    python benchmarks/memory.py --work DIR

Writes 5.5 GB of random features and actions into DIR, copies them into the cache, trains one epoch,
validates, and prints the peak of the resident memory of this process.
"""

import argparse
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from model.data.layout.description import builtin_description, write_description
from model.data.layout.game_files import write_game
from model.data.layout.split_lists import write_split
from model.data.sampler import SamplerConfig
from model.data.stores.building import open_split
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.timeline import format_game_time
from model.training.config import TrainingConfig, TrialConfig
from model.training.outcomes import Validation
from model.training.slot import Slot
from model.training.trainer import TrainingArray

GAMES = {"train": 300, "valid": 100, "test": 100}
FRAMES, DIMS = 5_400, 512
LABELS = ("soccer-ball", "y-card", "substitution-in")
ZONES_S = {"default": (-20.0, -10.0, 10.0, 20.0)}


def write_games(root: Path) -> None:
    """Write 500 games of two halves with 13 actions per game, as in SoccerNet."""
    description = builtin_description("soccernet-v1")
    random = np.random.default_rng(0)
    noise = random.normal(size=(FRAMES + 1_000, DIMS)).astype(np.float16)
    for split, count in GAMES.items():
        names = [f"league/season/{split}-{number:03d}" for number in range(count)]
        for name in names:
            offsets = random.integers(1_000, size=2)
            write_game(
                root,
                name,
                stem="ResNET_PCA512",
                halves=[noise[offset : offset + FRAMES] for offset in offsets],
                annotations=[annotation(random) for _ in range(13)],
                labels_file=description.labels_file,
            )
        write_split(root, description, split, names)
    write_description(root, description)


def annotation(random: np.random.Generator) -> dict[str, str]:
    """Make one action at a random time of a random half."""
    time_s = float(random.integers(FRAMES // 2))
    return {
        "gameTime": format_game_time(int(random.integers(1, 3)), time_s),
        "label": LABELS[int(random.integers(3))],
    }


def resident_gb() -> float:
    """Return the peak of the resident memory in GB, mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Build the cache, train and validate, and print the memory after each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    root = work / "big"
    if not (root / "dataset.toml").exists():
        write_games(root)
    print(f"start: {resident_gb():.2f} GB", flush=True)
    started = time.perf_counter()
    train, valid = (
        open_split(root, features="resnet", split=split, cache=work / "cache") for split in ("train", "valid")
    )
    print(f"cache: {resident_gb():.2f} GB, {time.perf_counter() - started:.0f} s", flush=True)
    zones = Zones.from_seconds(ZONES_S, train.classes, train.frame_rate)
    trial = TrialConfig(network=NetworkConfig(input_size=DIMS, classes=3), loss=LossConfig(zones=zones))
    training = TrainingConfig(epochs=1, sampler=SamplerConfig(name="balanced"), precision="bfloat16")
    array = TrainingArray(training, train=train, valid=valid, device=torch.device("cpu"))
    array.slots = [Slot(trial)]
    started = time.perf_counter()
    (outcome,) = array.advance()
    if not isinstance(outcome.result, Validation):
        raise outcome.result
    print(
        f"one epoch and a validation: {resident_gb():.2f} GB, {time.perf_counter() - started:.0f} s, "
        f"{outcome.result.metrics['chunks_per_s']:.0f} chunks/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
