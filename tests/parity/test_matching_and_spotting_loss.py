"""One-to-one matching and the spotting loss against both published codes."""

import numpy as np
import pytest
from parity.golden import Case, cases

from model.encoding import SpottingTargets
from model.losses.matching import match_one_to_one
from model.losses.spotting import spotting_loss

ALPHA2, BETA = 5.0, 0.5
"""Weights of every case: the files do not name them."""

CASES = cases("3_*.npz", having=["in_y_true", "in_y_pred", "pt_permutation", "pt_is_bijection"])


def targets_of(case: Case) -> SpottingTargets:
    truth = case.tensor("in_y_true")
    return SpottingTargets(truth[..., 1], truth[..., 2:].argmax(dim=-1), truth[..., 0] > 0)


def matches_of(case: Case) -> np.ndarray:
    targets = targets_of(case)
    return match_one_to_one(targets.location, targets.is_action, case.tensor("in_y_pred")[..., 1]).numpy()


def losses_and_slope(case: Case) -> tuple[np.ndarray, np.ndarray]:
    predicted = case.tensor("in_y_pred").requires_grad_()
    losses = spotting_loss(predicted, targets_of(case), alpha2=ALPHA2, beta=BETA)
    losses.sum().backward()
    return losses.detach().numpy(), predicted.grad.numpy()


def is_one_to_one(case: Case) -> np.ndarray:
    """Chunks in which the published codes use no prediction twice: they multiply 1 - distance with masks."""
    distance = np.abs(case["in_y_true"][:, :, None, 1] - case["in_y_pred"][:, None, :, 1])
    sound = case["pt_is_bijection"]
    assert (sound | (distance == 1).any(axis=(1, 2))).all(), "a prediction used twice without a distance of 1"
    return sound


@pytest.mark.parametrize("case", CASES)
def test_every_action_gets_the_prediction_of_the_published_codes(case: Case) -> None:
    compared = (case["in_y_true"][..., 0] > 0) & is_one_to_one(case)[:, None]
    np.testing.assert_array_equal(matches_of(case)[compared], case["pt_permutation"][compared])


@pytest.mark.parametrize("case", CASES)
def test_actions_meet_the_very_rows_that_they_meet_in_both_published_codes(case: Case) -> None:
    compared = (case["in_y_true"][..., 0] > 0) & is_one_to_one(case)[:, None]
    chunk, _ = np.nonzero(compared)
    rows = case["in_y_pred"][chunk, matches_of(case)[compared]]
    for source in ("pt", "keras"):
        np.testing.assert_array_equal(rows, case[f"{source}_permuted"][compared])


@pytest.mark.parametrize("case", CASES)
def test_predictions_without_an_action_are_those_that_the_published_codes_leave_for_padding(
    case: Case,
) -> None:
    is_action, sound = case["in_y_true"][..., 0] > 0, is_one_to_one(case)
    everyone = set(range(case["in_y_pred"].shape[1]))
    for chunk in np.flatnonzero(sound):
        left = everyone - set(matches_of(case)[chunk, is_action[chunk]].tolist())
        assert left == set(case["pt_permutation"][chunk, ~is_action[chunk]].tolist())


@pytest.mark.parametrize("case", CASES)
def test_no_prediction_serves_two_actions_even_where_it_does_in_the_published_codes(case: Case) -> None:
    for actions, match in zip(case["in_y_true"][..., 0] > 0, matches_of(case), strict=True):
        assert len(set(match[actions])) == actions.sum() and -1 not in match[actions]


@pytest.mark.parametrize("case", CASES)
def test_loss_of_every_chunk_is_the_published_one(case: Case) -> None:
    (computed, _), compared = losses_and_slope(case), is_one_to_one(case)
    np.testing.assert_allclose(computed[compared], case["pt_loss_per_sample"][compared], rtol=1e-6)


@pytest.mark.parametrize("source", ["pt", "keras"])
@pytest.mark.parametrize("case", CASES)
def test_loss_of_the_batch_is_the_published_one(case: Case, source: str) -> None:
    (computed, _), compared = losses_and_slope(case), is_one_to_one(case)
    losses = np.where(compared, computed, case["pt_loss_per_sample"])
    assert losses.sum(dtype=np.float64) == pytest.approx(float(case[f"{source}_loss"]), rel=1e-6)


@pytest.mark.parametrize("source", ["pt", "keras"])
@pytest.mark.parametrize("case", CASES)
def test_gradient_of_every_prediction_is_the_published_one(case: Case, source: str) -> None:
    (_, computed), compared = losses_and_slope(case), is_one_to_one(case)
    expected = case[f"{source}_grad_y_pred"]
    np.testing.assert_allclose(computed[compared], expected[compared], rtol=1e-6, atol=1e-6)
