"""Boundary-matching network against the published code: sampling, forward pass, losses and gradients."""

import hashlib

import numpy as np
import pytest
import torch
from parity.bmn_options import network, options, recipes, sampling
from parity.golden import Case, cases

from model.networks.bmn import BoundaryMatchingNetwork
from model.networks.boundary_matching import Sampling, bin_weights, valid_pairs

SMALL_MASKS = cases("7_bmn_mask.npz", having=["mask"])
FULL_MASKS = cases("7_bmn_mask.npz", having=["pairs_start_end", "mask_slices", "sum_over_T_N", "total"])
FORWARD = cases("7_bmn_forward.npz", having=["in_x", "confidence_map", "losses_total_tem_reg_cls"])

PUBLISHED = {
    **{f"x_1d_b.{i}": f"base.{i}" for i in (0, 2)},
    **{f"x_1d_s.{i}": f"start.{i}" for i in (0, 2)},
    **{f"x_1d_e.{i}": f"end.{i}" for i in (0, 2)},
    "x_1d_p.0": "proposal.0",
    "x_3d_p.0": "matching",
    "x_2d_p.0": "reduce",
    **{f"x_2d_p.{i}": f"map.{i - 2}" for i in (2, 4, 6)},
}
"""Names of layers in the published code, and here."""


def our_name(published: str) -> str:
    layer, _, kind = published.rpartition(".")
    return f"{PUBLISHED[layer]}.{kind}"


def our_layout(name: str, value: torch.Tensor) -> torch.Tensor:
    """Published kernels of size one lose their dimensions; that of the outputs comes last."""
    if name == "x_3d_p.0.weight":
        return value[..., 0, 0].permute(1, 2, 0).contiguous()
    return value[..., 0, 0] if name == "x_2d_p.0.weight" else value


def drawn(parameter: dict) -> torch.Tensor:
    value = np.random.RandomState(parameter["seed"]).uniform(
        -parameter["bound"], parameter["bound"], parameter["shape"]
    )
    value = value.astype("<f4")
    assert hashlib.sha256(value.tobytes()).hexdigest() == parameter["sha256_float32_le"]
    return torch.from_numpy(value)


def network_of(case: Case) -> BoundaryMatchingNetwork:
    content = recipes()[case.name]
    ours = BoundaryMatchingNetwork(network(content["opt"]), torch.Generator())
    assert sum(p.numel() for p in ours.parameters()) == content["num_trainable"]
    ours.load_state_dict({our_name(p["name"]): our_layout(p["name"], drawn(p)) for p in content["params"]})
    return ours


def sampling_of(case: Case, positions: int, bins: int) -> Sampling:
    return sampling(options(case, temporal_scale=positions, num_sample=bins), bins=bins)


def mask(positions: int, sampled: Sampling, pairs: np.ndarray) -> np.ndarray:
    """(pairs, positions, bins): the sampling, written out."""
    full = np.zeros((len(pairs), positions * sampled.bins))
    row, column, weight = bin_weights(pairs, positions, sampled)
    np.add.at(full, (row, column), weight)
    return full.reshape(len(pairs), positions, sampled.bins)


@pytest.mark.parametrize("case", SMALL_MASKS)
def test_every_pair_is_sampled_as_published(case: Case) -> None:
    expected = case["mask"]
    positions, bins = expected.shape[:2]
    pairs = valid_pairs(positions, positions)
    computed = np.zeros(expected.shape)
    sampled = sampling_of(case, positions, bins)
    computed[:, :, pairs[:, 0], pairs[:, 1]] = mask(positions, sampled, pairs).transpose(1, 2, 0)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", FULL_MASKS)
def test_pairs_of_full_size_are_sampled_as_published(case: Case) -> None:
    chosen = case["pairs_start_end"]
    _, positions, bins = case["mask_slices"].shape
    sampled = sampling_of(case, positions, bins)
    np.testing.assert_allclose(mask(positions, sampled, chosen), case["mask_slices"], rtol=0, atol=1e-6)
    pairs = valid_pairs(positions, positions)
    row, column, weight = bin_weights(pairs, positions, sampled)
    sums = np.bincount(row, weight, len(pairs))
    moments = np.bincount(row, weight * (column // bins), len(pairs))
    at = pairs[:, 0], pairs[:, 1]
    np.testing.assert_allclose(sums, case["sum_over_T_N"][at], rtol=1e-6)
    np.testing.assert_allclose(moments, case["center_of_mass"][at], rtol=1e-5)
    assert sums.sum() == pytest.approx(float(case["total"]), rel=1e-6)


@pytest.mark.parametrize("case", FORWARD)
def test_network_predicts_what_the_published_one_does(case: Case) -> None:
    with torch.no_grad():
        predicted = network_of(case)(case.tensor("in_x"))
    for value, expected in (
        (predicted.start, case["start"]),
        (predicted.end, case["end"]),
        (torch.stack([predicted.overlap, predicted.confidence], dim=1), case["confidence_map"]),
    ):
        np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-5)
