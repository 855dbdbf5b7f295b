"""Labels, losses and gradients of the boundary-matching network against the published code."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from parity.bmn_options import recipes
from parity.golden import Case, cases
from parity.test_bmn_network import network_of, our_layout, our_name

from model.data.activitynet.labels import boundary_labels
from model.losses.boundary import BoundaryLossConfig, BoundaryLosses, BoundaryTargets, boundary_losses
from model.networks.bmn import BoundaryPredictions

LABELS = cases("7_bmn_labels.npz", having=["in_segments_sec", "gt_start", "gt_end", "gt_iou_map"])
LOSSES = cases("7_bmn_loss.npz", having=["in_pred_bm", "in_rand_m", "loss_total", "grad_pred_bm"])
FORWARD = cases("7_bmn_forward.npz", having=["in_x", "in_rand_m", "losses_total_tem_reg_cls"])
PUBLISHED = BoundaryLossConfig(published_draw=True)


def losses_of(case: Case, predicted: BoundaryPredictions) -> BoundaryLosses:
    start = case.tensor("in_gt_start")
    distances = torch.zeros((start.shape[1], start.shape[0], 2), dtype=torch.int16)
    target = BoundaryTargets(
        start, case.tensor("in_gt_end"), case.tensor("in_gt_iou_map"), distances, distances
    )
    draws = torch.stack([case.tensor("in_rand_m"), case.tensor("in_rand_l")])
    return boundary_losses(predicted, target, PUBLISHED, draws)


def assert_losses(losses: BoundaryLosses, expected: dict[str, float]) -> None:
    assert set(expected) == {field.name for field in fields(losses)}
    for name, value in expected.items():
        assert math.isfinite(value)
        assert float(getattr(losses, name).detach()) == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_those_of_the_published_code(case: Case) -> None:
    covered_s = (
        float(case["in_feature_frame"]) / float(case["in_duration_frame"]) * case["in_duration_second"]
    )
    segments = np.clip(case["in_segments_sec"] / covered_s, 0.0, 1.0)
    labels = boundary_labels(segments, len(case["gt_start"]))
    np.testing.assert_allclose(labels.start, case["gt_start"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(labels.end, case["gt_end"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(labels.overlap, case["gt_iou_map"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", LOSSES)
def test_losses_and_gradients_are_those_of_the_published_code(case: Case) -> None:
    maps, start, end = (case.tensor(f"in_pred_{name}").requires_grad_() for name in ("bm", "start", "end"))
    losses = losses_of(case, BoundaryPredictions(start, end, maps[:, 0], maps[:, 1]))
    names = {"tem": "loss_tem", "regression": "loss_pem_reg", "classification": "loss_pem_cls"}
    assert_losses(
        losses, {ours: float(case[name]) for ours, name in {**names, "total": "loss_total"}.items()}
    )
    losses.total.backward()
    for value, name in ((maps, "bm"), (start, "start"), (end, "end")):
        expected = case[f"grad_pred_{name}"]
        np.testing.assert_allclose(
            value.grad.numpy(), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max(), err_msg=name
        )


@pytest.mark.parametrize("case", FORWARD)
def test_network_gets_the_gradients_of_the_published_one(case: Case) -> None:
    # In double precision: in single one feature close to 0 falls on the other side of the ReLU.
    network = network_of(case).double()
    losses = losses_of(case, network(case.tensor("in_x").double()))
    expected = case["losses_total_tem_reg_cls"]
    assert_losses(losses, dict(zip(("total", "tem", "regression", "classification"), expected, strict=True)))
    losses.total.backward()
    ours = dict(network.named_parameters())
    norms, at, values = case.group("grad_l2/"), case.group("grad_idx/"), case.group("grad_val/")
    assert {our_name(name) for name in norms} == set(ours)
    for parameter in recipes()[case.name]["params"]:
        name = parameter["name"]
        gradient = ours[our_name(name)].grad
        norm = float(norms[name])
        assert float(gradient.norm()) == pytest.approx(norm, rel=1e-5), name
        flat = torch.arange(gradient.numel()).view(parameter["shape"])
        there = our_layout(name, flat).flatten().argsort()[at[name].long()]
        np.testing.assert_allclose(
            gradient.flatten()[there].numpy(), values[name], rtol=0, atol=1e-5 * norm, err_msg=name
        )
