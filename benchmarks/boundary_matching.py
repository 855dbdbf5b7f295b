"""Time and memory of a training step of the boundary-matching network and of its published formulation.

    python benchmarks/boundary_matching.py --batch 16 [--dense] [--bfloat16]
    python benchmarks/boundary_matching.py --batch 16 --products

Each process measures one formulation, since the peak memory is that of a process. ``--products`` times only
the sparse products of the layer, per video and for all videos together, in alternation. Processor seconds are
printed too, because they vary less on a shared machine.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from model.data.activitynet.labels import boundary_labels
from model.losses.boundary import BoundaryLossConfig, boundary_losses, draw_uniform, stack_targets
from model.networks.bmn import BmnConfig, BoundaryMatchingNetwork
from model.networks.boundary_matching import _products, _sampling_matrices, bin_weights, valid_pairs

CPU = torch.device("cpu")


class Dense(nn.Module):
    """The published layer: sample all pairs, then a convolution over bins, then one of size one."""

    def __init__(self, config: BmnConfig) -> None:
        super().__init__()
        self.shape = (config.bins, config.positions, config.positions)
        pairs = valid_pairs(config.positions, config.max_positions)
        row, column, weight = bin_weights(pairs, config.positions, config.sampling)
        mask = np.zeros((config.positions, *self.shape), dtype=np.float32)
        position, bin_index = np.divmod(column, config.bins)
        np.add.at(mask, (position, bin_index, pairs[row, 0], pairs[row, 1]), weight)
        self.mask = torch.from_numpy(mask).flatten(1)
        self.reduce_bins = nn.Conv3d(config.hidden_1d, config.hidden_3d, (config.bins, 1, 1))
        self.reduce = nn.Conv2d(config.hidden_3d, config.hidden_2d, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (batch, C, T) into a map (batch, outputs, T, T)."""
        samples = (features @ self.mask).unflatten(-1, self.shape)
        return self.reduce(self.reduce_bins(samples).relu().squeeze(2)).relu()


def peak_mb() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median_times(works: dict[str, Callable[[], object]], times: int) -> None:
    """Run all works in alternation, ``times`` rounds, and print their medians without the first round."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(times):
        for name, work in works.items():
            clock, processor = time.perf_counter(), time.process_time()
            work()
            seconds[name].append((time.perf_counter() - clock, time.process_time() - processor))
    for name, found in seconds.items():
        clock, processor = np.median(found[1:], axis=0)
        print(f"{name}: {clock:.2f} s, {processor:.2f} processor s")


def products(config: BmnConfig, batch: int, times: int) -> None:
    """Compare one sparse product for all videos with one product per video, in both directions."""
    size = (config.positions, config.max_positions, config.sampling)
    for name, matrix in zip(
        ("forward", "backward"), _sampling_matrices(*size, CPU, torch.float32), strict=True
    ):
        by_video = torch.randn(batch, matrix.shape[1], config.hidden_3d)
        together = by_video.transpose(0, 1).flatten(1)
        works = {
            f"{name}, all videos": lambda matrix=matrix, dense=together: matrix @ dense,
            f"{name}, per video": lambda matrix=matrix, dense=by_video: _products(matrix, dense),
        }
        median_times(works, times)


def steps(config: BmnConfig, asked: argparse.Namespace) -> None:
    """Measure time and memory of whole steps."""
    network = BoundaryMatchingNetwork(config, torch.Generator().manual_seed(0))
    if asked.dense:
        # A module assigned as usual would lie behind the method of that name, and never be called.
        object.__setattr__(network, "_pair_features", Dense(config))
    features = torch.randn(asked.batch, config.input_size, config.positions)
    labels = boundary_labels(np.array([[0.1, 0.45], [0.5, 0.9]]), config.positions)
    target = stack_targets([labels] * asked.batch)
    generator, before = torch.Generator().manual_seed(0), peak_mb()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.bfloat16):
            predicted = network(features)
        losses = boundary_losses(
            predicted, target, BoundaryLossConfig(), draw_uniform(target.overlap, generator)
        )
        network.zero_grad()
        losses.total.backward()

    median_times({"a step": step}, asked.times)
    print(f"peak memory: {peak_mb() - before:.0f} MB more than before")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--products", action="store_true")
    asked = parser.parse_args()
    torch.manual_seed(0)
    if asked.products:
        products(BmnConfig(), asked.batch, asked.times)
    else:
        steps(BmnConfig(), asked)


if __name__ == "__main__":
    main()
