"""The network and one training step of it against the PyTorch re-release, from the weights of its files."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from parity.golden import Case, cases
from parity.published_step import Published, Step, in_published_layout, take_step, targets_of

from model.networks.calf import CalfNetwork
from model.weights.published import from_pytorch

CASES = cases(
    "4_network_*.npz", having=["in_x", "in_tse", "in_targets", "in_K", "eval_segmentation", "loss_total"]
)
SIZES = {
    "cfg_input_size": "input_size",
    "cfg_num_classes": "classes",
    "cfg_chunk_size": "chunk_frames",
    "cfg_dim_capsule": "class_features",
    "cfg_receptive_field": "receptive_field_frames",
    "cfg_num_detections": "predictions",
}


def convert(state: Mapping[str, torch.Tensor]) -> CalfNetwork:
    return from_pytorch(state, source="reference")


def network_of(case: Case) -> CalfNetwork:
    return convert(case.group("state/"))


def published(case: Case) -> Published:
    return Published(
        features=case.tensor("in_x"),
        shift=case.tensor("in_tse"),
        zones=case["in_K"],
        segmentation_weight=float(case["loss_weight_segmentation"]),
        form="paper",
        adam_eps=1e-8,
        calls_distance_its_score=True,
    )


@cache
def step_of(case: Case) -> Step:
    return take_step(network_of(case), published(case))


def assert_outputs(network: CalfNetwork, case: Case, kind: str, *, tolerance: float) -> None:
    """Compare outputs; the re-release calls segmentation what is one less the score of the paper."""
    with torch.no_grad():
        output = network(case.tensor("in_x").transpose(0, 1).contiguous())
    expected = 1.0 - case.tensor(f"{kind}_segmentation").transpose(0, 1)
    torch.testing.assert_close(output.segmentation, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(output.spotting, case.tensor(f"{kind}_spotting"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_sizes_are_read_from_the_weights(case: Case) -> None:
    config = network_of(case).config
    assert {name: case.number(name) for name in SIZES} == {
        theirs: getattr(config, ours) for theirs, ours in SIZES.items()
    }


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("case", CASES)
def test_network_gives_the_published_scores_and_spots(case: Case, mode: str) -> None:
    assert_outputs(network_of(case).train(mode == "train"), case, mode, tolerance=5e-6)


@pytest.mark.parametrize("case", CASES)
def test_trainer_makes_the_published_targets_of_the_chunks(case: Case) -> None:
    torch.testing.assert_close(
        targets_of(published(case), network_of(case).config), case.tensor("in_targets")
    )


@pytest.mark.parametrize("case", CASES)
def test_running_statistics_follow_a_batch_as_in_the_re_release(case: Case) -> None:
    """A hundredth of the way, the variance divided by one less than the numbers it is of."""
    norm = step_of(case).network.norm
    torch.testing.assert_close(norm.running_mean, case.tensor("train_running_mean"), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(norm.running_variance, case.tensor("train_running_var"), rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_both_losses_and_their_sum_are_the_published_ones_with_the_output_taken_for_the_score(
    case: Case,
) -> None:
    losses = step_of(case).losses
    assert losses.segmentation == pytest.approx(float(case["loss_seg_sum"]), rel=1e-5)
    assert losses.spotting == pytest.approx(float(case["loss_spot_sum"]), rel=1e-5)
    assert losses.total == pytest.approx(float(case["loss_total"]), rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_gradient_of_every_weight_is_the_published_one(case: Case) -> None:
    gradients = in_published_layout(step_of(case).gradients, case.group("state/"), convert)
    norms = {name: float(norm) for name, norm in case.group("grad_l2/").items()}
    # Rounding may put one of 100000 rectified numbers on the other side of zero, gradient and all.
    flip = 3e-6 * math.hypot(*norms.values())
    for name, norm in norms.items():
        tolerance = 1e-4 * norm + flip
        assert float(gradients[name].norm()) == pytest.approx(norm, rel=0, abs=tolerance)
        computed, expected = gradients[name][case.tensor(f"grad_idx/{name}")], case[f"grad_val/{name}"]
        np.testing.assert_allclose(computed.numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_weights_after_one_step_are_the_published_ones(case: Case) -> None:
    """The first step of Adam is a sign wherever a gradient is far above eps: tiny ones are left out."""
    weights = in_published_layout(step_of(case).network.state_dict(), case.group("state/"), convert)
    for name, expected in case.group("adam1_val/").items():
        compared = case.tensor(f"grad_val/{name}").abs() > 1e-6
        computed = weights[name][case.tensor(f"grad_idx/{name}")]
        torch.testing.assert_close(computed[compared], expected[compared], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_network_after_one_step_gives_the_published_outputs(case: Case) -> None:
    assert_outputs(step_of(case).network.eval(), case, "adam1_eval", tolerance=2e-3)


@pytest.mark.parametrize("case", CASES)
def test_every_weight_of_the_re_release_takes_part(case: Case) -> None:
    learned = [name for name in case.group("state/") if "running" not in name and "num_batches" not in name]
    assert np.array_equal(sorted(learned), sorted(case.group("grad_l2/")))
