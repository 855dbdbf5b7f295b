"""Comparison of BMN with its own and with the context-aware loss, on synthetic features of real annotations.

    python benchmarks/boundary_losses.py FOLDER --seeds 0 1 2

Trains both losses with every seed, on the same videos in the same order, and prints one row per training: the
scores of its last epoch and the seconds per epoch. FOLDER contains ActivityNet's annotations in the published
layout. The features are made from them in memory (``model.data.activitynet.synthetic``): one direction for
all activities, one for each class, delayed traces of starts and ends, and traces without an activity.
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from model.data.activitynet.annotations import Video, read_videos
from model.data.activitynet.split import VideoSplit
from model.data.activitynet.synthetic import FeatureGenerator, make_class_scores
from model.losses.boundary import BoundaryLossConfig
from model.losses.forms import TemLoss
from model.networks.bmn import BmnConfig
from model.precision import Precision
from model.training.boundary.config import BoundaryTrainingConfig, BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot
from model.training.boundary.trainer import BoundaryArray
from model.training.outcomes import Validation

LOSSES: tuple[TemLoss, ...] = ("bmn", "context-aware")
NETWORK = BmnConfig()
FEATURES_SEED = 0


def split_of(videos: list[Video], subset: str, count: int, maker: FeatureGenerator) -> VideoSplit:
    """Return the first ``count`` videos of ``subset`` with activities, with features and class scores."""
    chosen = [video for video in videos if video.subset == subset and len(video.segments_s)]
    first = tuple(islice(chosen, count))
    classes = tuple(sorted({label for video in videos for label in video.labels}))
    features = np.stack([maker(video, NETWORK.positions) for video in first])
    return VideoSplit(first, features, classes, make_class_scores(first, classes, seed=FEATURES_SEED))


def train(array: BoundaryArray, loss: TemLoss, seed: int) -> tuple[Validation, float]:
    """Train a trial and return its last validation and the seconds that it took."""
    config = BoundaryTrialConfig(loss=BoundaryLossConfig(tem_loss=loss), seed=seed, data_seed=seed)
    array.slots = [BoundarySlot(config)]
    started = time.perf_counter()
    while True:
        (outcome,) = array.advance()
        assert isinstance(outcome.result, Validation), outcome.result
        if outcome.result.epoch >= array.training.epochs:
            return outcome.result, time.perf_counter() - started


def main() -> None:
    """Train all trials and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--videos", type=int, nargs=2, default=[300, 100])
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    precision: Precision = asked.precision
    videos, maker = read_videos(asked.folder), FeatureGenerator(NETWORK.input_size, FEATURES_SEED)
    training = BoundaryTrainingConfig(epochs=asked.epochs, validate_every=asked.epochs, precision=precision)
    array = BoundaryArray(
        training,
        train=split_of(videos, "training", asked.videos[0], maker),
        valid=split_of(videos, "validation", asked.videos[1], maker),
        device=torch.device("cpu"),
    )
    print("| seed | loss | AR@1 | AR@10 | AR@100 | AUC | Average-mAP | s per epoch | processor s per epoch |")
    print("|---" * 9 + "|", flush=True)
    for seed in asked.seeds:
        for loss in LOSSES:
            processor = time.process_time()
            validation, seconds = train(array, loss, seed)
            processor = time.process_time() - processor
            scores = [validation.metrics[name] for name in ("ar@1", "ar@10", "ar@100", "auc", "average_map")]
            cells = [f"{100 * score:.2f}" for score in scores]
            times = [f"{value / asked.epochs:.1f}" for value in (seconds, processor)]
            print(f"| {seed} | {loss} | {' | '.join(cells + times)} |", flush=True)


if __name__ == "__main__":
    main()
