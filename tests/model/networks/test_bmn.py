"""The boundary-matching layer against the dense published formulation, and what it never builds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from model.errors import ConfigError
from model.networks.bmn import BmnConfig, BoundaryMatchingNetwork
from model.networks.boundary_matching import BoundaryMatching, Sampling, bin_weights, pair_index, valid_pairs

SIZE = {"positions": 12, "longest": 7, "sampling": Sampling(4, 2, 0.25), "features": 6, "outputs": 5}
TINY = BmnConfig(input_size=8, positions=10, bins=3, hidden_1d=8, hidden_2d=6, hidden_3d=12)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(layer: BoundaryMatching, features: torch.Tensor) -> torch.Tensor:
    """Sample every pair, then reduce by a convolution over the bins, as published."""
    positions, longest, sampling = layer.size
    bins = sampling.bins
    pairs = valid_pairs(positions, longest)
    row, column, weight = bin_weights(pairs, positions, sampling)
    full = np.zeros((len(pairs), positions * bins))
    np.add.at(full, (row, column), weight)
    mask = torch.from_numpy(full).view(len(pairs), positions, bins).permute(1, 2, 0)
    samples = torch.einsum("bct,tnp->bcnp", features, mask)
    kernel = layer.weight.permute(2, 0, 1)[..., None]
    return nn.functional.conv2d(samples, kernel, layer.bias).squeeze(2).transpose(1, 2)


def test_matching_equals_sampling_and_then_reducing() -> None:
    generator = seeded(0)
    layer = BoundaryMatching(*SIZE.values(), generator).double()
    features = torch.randn(3, 6, 12, dtype=torch.float64, generator=generator, requires_grad=True)
    torch.testing.assert_close(layer(features), dense(layer, features))
    towards = torch.randn(layer(features).shape, dtype=torch.float64, generator=generator)
    wanted = (features, *layer.parameters())
    ours = torch.autograd.grad(layer(features), wanted, towards)
    torch.testing.assert_close(ours, torch.autograd.grad(dense(layer, features), wanted, towards))


def published_bin(first: float, last: float, positions: int, sampling: Sampling, index: int) -> np.ndarray:
    """The loop of the published code for one bin of one proposal."""
    points = sampling.bins * sampling.points_per_bin
    step = (last - first) / (points - 1.0)
    vector = np.zeros(positions)
    for point in range(index * sampling.points_per_bin, (index + 1) * sampling.points_per_bin):
        fraction, down = math.modf(first + step * point)
        up = math.ceil(first + step * point)
        if 0 <= int(down) <= positions - 1:
            vector[int(down)] += 1 - fraction
        if 0 <= int(up) <= positions - 1:
            vector[int(up)] += fraction
    return 1.0 / sampling.points_per_bin * vector


@pytest.mark.parametrize(
    "sampling", [Sampling(4), Sampling(3, 1), Sampling(1, 5, 0.0), Sampling(4, 2, 0.25), Sampling(5, 4, 1.3)]
)
def test_every_setting_of_the_sampling_gives_the_weights_of_the_published_loop(sampling: Sampling) -> None:
    positions = 9
    pairs = valid_pairs(positions, positions)
    row, column, weight = bin_weights(pairs, positions, sampling)
    full = np.zeros((len(pairs), positions * sampling.bins))
    np.add.at(full, (row, column), weight)
    for (start, end), computed in zip(
        pairs.tolist(), full.reshape(-1, positions, sampling.bins), strict=True
    ):
        beyond = (end + 1 - start + 1.0) * sampling.boundary_ratio
        for index in range(sampling.bins):
            expected = published_bin(start - beyond, end + 1 + beyond, positions, sampling, index)
            np.testing.assert_allclose(computed[:, index], expected, rtol=0, atol=1e-12)


def test_networks_with_other_settings_sample_other_features() -> None:
    features = torch.randn(1, 8, 10, generator=seeded(0))
    overlaps = [
        BoundaryMatchingNetwork(replace(TINY, **change), seeded(1))(features).overlap
        for change in ({}, {"boundary_ratio": 0.25}, {"points_per_bin": 2})
    ]
    assert not torch.equal(overlaps[0], overlaps[1])
    assert not torch.equal(overlaps[0], overlaps[2])


def test_no_tensor_is_as_large_as_all_samples() -> None:
    layer, batch = BoundaryMatching(30, 30, Sampling(16), 32, 8, seeded(0)), 2
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.layout == torch.strided:
                largest = max(largest, result.numel())
            return result

    with Watch():
        layer(torch.randn(batch, 32, 30))
    assert 0 < largest < batch * 16 * 30 * 30 * 32 / 8


def test_a_map_of_limited_durations_counts_only_short_pairs() -> None:
    pairs = valid_pairs(12, 7)
    assert (pairs[:, 1] - pairs[:, 0]).max() == 6
    assert len(np.unique(pair_index(12, 7))) == len(pairs) == 12 * 7 - 7 * 6 // 2


def test_predictions_do_not_depend_on_the_company_in_the_batch() -> None:
    network, features = BoundaryMatchingNetwork(TINY, seeded(1)), torch.randn(4, 8, 10, generator=seeded(0))
    together, alone = network(features), network(features[2:3])
    for name in ("start", "end", "overlap", "confidence"):
        torch.testing.assert_close(getattr(together, name)[2:3], getattr(alone, name))
        assert ((getattr(together, name) >= 0) & (getattr(together, name) <= 1)).all()


def test_weights_come_from_the_generator_alone_and_reach_out_to_their_bounds() -> None:
    torch.manual_seed(0)
    first = BoundaryMatchingNetwork(TINY, seeded(3)).state_dict()
    again = BoundaryMatchingNetwork(TINY, seeded(3)).state_dict()
    other = BoundaryMatchingNetwork(TINY, seeded(4)).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not any(torch.equal(value, other[name]) for name, value in first.items())
    inputs = {"base.0": 8 // 4 * 3, "start.2": 8, "proposal.0": 8 * 3, "reduce": 12, "map.0": 6 * 9}
    for layer, count in {**inputs, "matching": 8 * 3}.items():
        largest = float(first[f"{layer}.weight"].abs().max()) * count**0.5
        assert 0.7 < largest <= 1.0
        assert float(first[f"{layer}.bias"].abs().max()) * count**0.5 <= 1.0


def test_half_precision_stays_close() -> None:
    network, features = BoundaryMatchingNetwork(TINY, seeded(2)), torch.randn(2, 8, 10, generator=seeded(0))
    with torch.autocast("cpu", torch.bfloat16):
        half = network(features)
    assert half.overlap.dtype == torch.float32
    torch.testing.assert_close(half.overlap, network(features).overlap, atol=0.02, rtol=0)
    half.overlap.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_size": 6}, "multiple of 4"),
        ({"longest": 11}, "longest"),
        ({"bins": 0}, "bins"),
        ({"bins": 1, "points_per_bin": 1}, "at least 2"),
        ({"boundary_ratio": -1.0}, "boundary_ratio"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BmnConfig(**{"input_size": 8, "positions": 10, **change})
