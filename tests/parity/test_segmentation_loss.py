"""Segmentation loss and gradient of every element against the paper in double precision and both codes."""

import math

import numpy as np
import pytest
import torch
from parity.golden import Case, cases

from model.losses.segmentation import (
    SMALLEST_LIKELIHOOD,
    SegmentationForm,
    likelihood_ends,
    segmentation_loss_elements,
)

TAU_MAX, TAU_MIN = 0.9, 0.1
"""Margins of every case: the files do not name them."""
FORMS: dict[str, SegmentationForm] = {"paper": "paper", "pt": "paper", "keras": "published-2020"}
"""Who computed the values, and the form of equations (4) and (5) they have."""
SUMS = {"paper": "paper_sum_f64", "pt": "pt_sum", "keras": "keras_sum"}

CASES = cases("2_*.npz", having=["in_s", "in_p", "in_d", "in_K", "paper_elem", "pt_elem", "keras_elem"])


def score_of(case: Case, source: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """What ``source`` was given: the original code takes one less the score."""
    return 1.0 - case.tensor("in_d").to(dtype) if source == "keras" else case.tensor("in_p").to(dtype)


def elements(score: torch.Tensor, case: Case, source: str) -> torch.Tensor:
    return segmentation_loss_elements(
        score,
        case.tensor("in_s").to(score.dtype),
        case.tensor("in_K").to(score.dtype),
        tau_max=TAU_MAX,
        tau_min=TAU_MIN,
        form=FORMS[source],
    )


def slope(case: Case, source: str) -> np.ndarray:
    score = score_of(case, source).requires_grad_()
    elements(score, case, source).sum().backward()
    return score.grad.numpy()


def likelihood(case: Case, source: str) -> np.ndarray:
    """Argument of the logarithm, in double precision."""
    score = score_of(case, source, torch.float64)
    zones, shift = case.tensor("in_K").double(), case.tensor("in_s").double()
    at_zero, at_one = likelihood_ends(shift, zones, FORMS[source])
    return (at_zero + (at_one - at_zero) * score).numpy()


def is_ordinary(case: Case, source: str) -> np.ndarray:
    """Where ``source`` gives a number and our logarithm is a logarithm, not its tangent."""
    return np.isfinite(case[f"{source}_elem"]) & (likelihood(case, source) > SMALLEST_LIKELIHOOD)


def is_smooth(case: Case, source: str) -> np.ndarray:
    """Where the margin is not so close that rounding decides on which side of it an element lies."""
    shift, k3 = case["in_s"], case["in_K"][2]
    satisfied = np.where((shift >= 0) & (shift < k3), TAU_MAX, 1.0 - TAU_MIN)
    return np.abs(likelihood(case, source) / satisfied - 1.0) > 1e-6


def rounding(case: Case, source: str) -> np.ndarray:
    """What single precision can do to the likelihood in the published codes: 1 - x p for x p close to 1."""
    step = 0.0 if source == "paper" else float(np.finfo(np.float32).eps)
    return step / np.maximum(likelihood(case, source), SMALLEST_LIKELIHOOD)


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_every_element_costs_what_the_reference_says(case: Case, source: str) -> None:
    computed = elements(score_of(case, source), case, source).numpy()
    compared = is_ordinary(case, source)
    expected = case[f"{source}_elem"]
    assert compared.any() or not np.isfinite(expected).all()
    difference = np.abs(computed.astype(np.float64) - expected)[compared]
    assert (difference <= np.maximum(1e-6, rounding(case, source))[compared]).all(), difference.max()


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_every_score_gets_the_gradient_of_the_reference(case: Case, source: str) -> None:
    expected = case[f"{source}_grad_p"]
    compared = is_ordinary(case, source) & is_smooth(case, source) & np.isfinite(expected)
    difference = np.abs(slope(case, source).astype(np.float64) - expected)[compared]
    allowed = np.maximum(1e-4, rounding(case, source)) * np.abs(expected)
    assert (difference <= allowed[compared] + 1e-6).all(), difference.max()


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_sum_is_that_of_the_reference_where_it_is_a_number(case: Case, source: str) -> None:
    expected = float(case[SUMS[source]])
    if not math.isfinite(expected):
        assert not is_ordinary(case, source).all()
        pytest.skip(f"the reference says {expected}: scores of exactly 0 or 1")
    computed = elements(score_of(case, source), case, source).double().sum()
    assert float(computed) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_all_scores_but_those_of_0_and_1_and_almost_so_are_compared(case: Case, source: str) -> None:
    compared = is_ordinary(case, source) & np.isfinite(case[f"{source}_grad_p"])
    extreme = np.isin(score_of(case, source).numpy(), (0.0, 1.0))
    assert (compared | extreme | (likelihood(case, source) <= SMALLEST_LIKELIHOOD)).all()


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_finite_even_where_those_of_the_reference_are_not(
    case: Case, source: str
) -> None:
    assert elements(score_of(case, source), case, source).isfinite().all()
    assert np.isfinite(slope(case, source)).all()


@pytest.mark.parametrize("case", CASES)
def test_original_code_asks_less_in_two_zones_and_agrees_with_the_paper_in_the_others(case: Case) -> None:
    shift, zones = case["in_s"], case["in_K"]
    added = (shift >= 0) & (shift < zones[3])
    finite = np.isfinite(case["paper_elem"]) & np.isfinite(case["keras_elem"])
    more = np.where(finite, case["keras_elem"], 0.0) - np.where(finite, case["paper_elem"], 0.0)
    tolerance = np.maximum(1e-6, rounding(case, "keras"))
    assert (np.abs(more) <= tolerance)[~added].all()
    assert (more <= tolerance)[added].all()
