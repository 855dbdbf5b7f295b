"""A step of the boundary-matching network beside the published formulation: seconds and memory.

    python benchmarks/boundary_matching.py --batch 4 [--dense] [--bfloat16]

One formulation a process, since the peak of memory is that of a process.
"""

import argparse
import resource
import time

import numpy as np
import torch
from torch import Tensor, nn

from model.data.activitynet.labels import boundary_labels
from model.losses.boundary import BoundaryLossConfig, boundary_losses, draw, stack_targets
from model.networks.bmn import BmnConfig, BoundaryMatchingNetwork
from model.networks.boundary_matching import bin_weights, valid_pairs


class Dense(nn.Module):
    """All samples of all pairs, then a convolution over bins, then one of size one: as published."""

    def __init__(self, config: BmnConfig) -> None:
        super().__init__()
        self.shape = (config.bins, config.positions, config.positions)
        pairs = valid_pairs(config.positions, config.max_positions)
        row, column, weight = bin_weights(pairs, config.positions, config.bins)
        mask = np.zeros((config.positions, *self.shape), dtype=np.float32)
        position, bin_index = np.divmod(column, config.bins)
        np.add.at(mask, (position, bin_index, pairs[row, 0], pairs[row, 1]), weight)
        self.mask = torch.from_numpy(mask).flatten(1)
        self.reduce_bins = nn.Conv3d(config.hidden_1d, config.hidden_3d, (config.bins, 1, 1))
        self.reduce = nn.Conv2d(config.hidden_3d, config.hidden_2d, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, C, T) as a map (batch, outputs, T, T)."""
        samples = (features @ self.mask).unflatten(-1, self.shape)
        return self.reduce(self.reduce_bins(samples).relu().squeeze(2)).relu()


def peak_mb() -> float:
    """Most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Take three steps and print the seconds of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    asked = parser.parse_args()
    torch.manual_seed(0)
    config = BmnConfig()
    network = BoundaryMatchingNetwork(config, torch.Generator().manual_seed(0))
    if asked.dense:
        network._pair_features = Dense(config)
    features = torch.randn(asked.batch, config.input_size, config.positions)
    labels = boundary_labels(np.array([[0.1, 0.45], [0.5, 0.9]]), config.positions)
    target = stack_targets([labels] * asked.batch)
    generator, before = torch.Generator().manual_seed(0), peak_mb()
    for _ in range(3):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.bfloat16):
            predicted = network(features)
        losses = boundary_losses(predicted, target, BoundaryLossConfig(), draw(target.overlap, generator))
        losses.total.backward()
        print(f"{time.perf_counter() - began:.2f} s a step, {peak_mb() - before:.0f} MB more at its peak")


if __name__ == "__main__":
    main()
