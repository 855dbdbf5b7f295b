"""The authors' own network: forward pass and one training step against the original Keras code."""

import math
from collections.abc import Mapping
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
import torch
from parity.golden import Case, cases
from parity.published_step import (
    Losses,
    Published,
    Step,
    in_published_layout,
    losses_in_evaluation,
    take_step,
    targets_of,
)

from model.networks import forward
from model.networks.calf import CalfNetwork
from model.networks.layers import convolve_three_taps, normalise_frames
from model.weights.published import from_keras

CASES = cases(
    "4_keras_*_forward.npz",
    having=["in_x", "in_tse", "in_targets", "segmentation_d", "spotting"],
    groups=["act*", "adam1_idx", "adam1_val"],
)
WEIGHTS = cases("4_keras_*_weights.npz", having=["_total_params", "conv1/kernel"], groups=["conv*", "bn"])
OUTPUTS = {"eval": ("segmentation_d", "spotting"), "train": ("train_segmentation_d", "train_spotting")}
ZONES = np.array([[-40.0, -40.0, -80.0], [-20.0, -20.0, -40.0], [120.0, 20.0, 20.0], [180.0, 40.0, 40.0]])
"""K1..K4 of goal, card and substitution in the original code, which has no others."""
ADAM_EPS = 1e-7 / math.sqrt(1.0 - 0.999)
"""Keras adds its 1e-7 to the root of the second moment before step t divides that by 1 - 0.999^t, Kingma and
Ba and torch after it: Keras does what they do with 1e-7 / sqrt(1 - 0.999^t), 3e-6 at the first step."""


def convert(weights: Mapping[str, torch.Tensor]) -> CalfNetwork:
    return from_keras({name: array.numpy() for name, array in weights.items()}, source="reference")


def layers(weights: Case) -> dict[str, torch.Tensor]:
    return {name: weights.tensor(name) for name in weights.names if "/" in name}


def weights_of(case: Case) -> dict[str, torch.Tensor]:
    """Weights lie in a file of their own, named after that of the outputs."""
    return layers(Case(case.file.with_name(case.file.name.replace("_forward", "_weights")), ""))


def network_of(case: Case) -> CalfNetwork:
    return convert(weights_of(case))


def published(case: Case, adam_eps: float = ADAM_EPS) -> Published:
    return Published(
        features=case.tensor("in_x"),
        shift=case.tensor("in_tse"),
        zones=case["in_K"] if "in_K" in case.names else ZONES,
        segmentation_weight=float(case["loss_weight_segmentation"]),
        form="published-2020",
        adam_eps=adam_eps,
    )


@cache
def step_of(case: Case, adam_eps: float = ADAM_EPS) -> Step:
    return take_step(network_of(case), published(case, adam_eps))


def assert_losses(losses: Losses, expected: np.ndarray) -> None:
    computed = [losses.total, losses.segmentation, losses.spotting]
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


@pytest.mark.parametrize("case", WEIGHTS)
def test_no_weight_of_the_file_is_left_behind(case: Case) -> None:
    state = convert(layers(case)).state_dict()
    assert sum(array.numel() for array in layers(case).values()) == case.number("_total_params")
    assert sum(tensor.numel() for tensor in state.values()) == case.number("_total_params")


@pytest.mark.parametrize(("mode", "tolerance"), [("eval", 1e-5), ("train", 1e-4)])
@pytest.mark.parametrize("case", CASES)
def test_network_gives_the_published_scores_and_spots(case: Case, mode: str, tolerance: float) -> None:
    distance, spotting = (case.tensor(name) for name in OUTPUTS[mode])
    network = network_of(case).train(mode == "train")
    with torch.no_grad():
        output = network(case.tensor("in_x").transpose(0, 1).contiguous())
    torch.testing.assert_close(output.segmentation.transpose(0, 1), 1.0 - distance, rtol=0, atol=tolerance)
    torch.testing.assert_close(output.spotting, spotting, rtol=0, atol=tolerance)


def activations_of(case: Case) -> dict[str, torch.Tensor]:
    """What the layers give in evaluation, by their names in the original code; time first."""
    network, convolved, normalised = network_of(case).eval(), [], []

    def convolve(signal: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        convolved.append((signal[0], convolve_three_taps(signal, *weights)[0]))
        return convolved[-1][1][None]

    def normalise(*arguments: torch.Tensor, **options: float) -> torch.Tensor:
        normalised.append(normalise_frames(*arguments, **options)[0])
        return normalised[-1][None]

    features = case.tensor("in_x").transpose(0, 1).contiguous()
    with (
        torch.no_grad(),
        patch.object(forward, "convolve_three_taps", convolve),
        patch.object(forward, "normalise_frames", normalise),
    ):
        network(features)
        (hidden,) = network.computation().mlp(features[None])
    (joined, columns), _, (_, spots) = convolved
    return {
        "conv2": hidden,
        "conv3_4": joined[..., -network.pyramid[-1].shape[-1] :],  # of the longest kernels
        "conv4": columns,
        "bn": normalised[0],
        "conv6": spots.relu(),
    }


@pytest.mark.parametrize("case", CASES)
def test_activations_inside_are_the_published_ones(case: Case) -> None:
    """Mean, deviation and first values of one chunk; its number is in the name."""
    activations = activations_of(case)
    samples = {name: case[name] for name in case.names if name.startswith("act")}
    for name, expected in samples.items():
        sample, layer = name.removeprefix("act").split("/")
        values = activations[layer.removesuffix("_mean_std_first8")][:, int(sample)].double().flatten()
        computed = [values.mean(), values.std(correction=0), *values[: len(expected) - 2]]
        scale = float(values.abs().max())
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("case", CASES)
def test_trainer_makes_the_published_targets_of_the_chunks(case: Case) -> None:
    torch.testing.assert_close(
        targets_of(published(case), network_of(case).config), case.tensor("in_targets")
    )


@pytest.mark.parametrize("case", CASES)
def test_losses_are_the_published_ones_in_evaluation_and_in_training(case: Case) -> None:
    evaluation = losses_in_evaluation(network_of(case), published(case))
    assert_losses(evaluation, case["eval_loss_total_seg_spot"])
    assert_losses(step_of(case).losses, case["train_loss_total_seg_spot"])


@pytest.mark.parametrize("case", CASES)
def test_running_statistics_follow_a_batch_as_in_the_original_code(case: Case) -> None:
    """A hundredth of the way, the variance divided by the numbers it is of."""
    norm = step_of(case).network.norm
    for ours, name in (
        (norm.running_mean, "train_bn_moving_mean"),
        (norm.running_variance, "train_bn_moving_variance"),
    ):
        torch.testing.assert_close(ours, case.tensor(name), rtol=1e-6, atol=0)


def moved(case: Case, step: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sampled weights after the step: ours, theirs, and the size of their gradients."""
    before = weights_of(case)
    weights = in_published_layout(step.network.state_dict(), before, convert)
    gradients = in_published_layout(step.gradients, before, convert)
    samples, expected = case.group("adam1_idx/"), case.group("adam1_val/")
    rows = [(weights[name][at], expected[name], gradients[name][at].abs()) for name, at in samples.items()]
    ours, theirs, slopes = (torch.cat(column).numpy() for column in zip(*rows, strict=True))
    return ours, theirs, slopes


@pytest.mark.parametrize("case", CASES)
def test_weights_after_one_step_are_the_published_ones(case: Case) -> None:
    """With the eps that Keras has at its first step; tiny gradients are rounding and left out."""
    ours, theirs, slopes = moved(case, step_of(case))
    compared = slopes > 1e-6
    np.testing.assert_allclose(ours[compared], theirs[compared], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_eps_of_the_original_code_damps_small_gradients_more_than_the_same_number_does_here(
    case: Case,
) -> None:
    """Step 1 is lr g / (|g| + eps): what differs is eps, by the missing correction of the second moment."""
    ours, theirs, slopes = moved(case, step_of(case, 1e-7))
    longer = 1e-3 * (slopes / (slopes + 1e-7) - slopes / (slopes + ADAM_EPS))
    compared = slopes > 1e-6
    np.testing.assert_allclose(np.abs(ours - theirs)[compared], longer[compared], rtol=0, atol=1e-5)
