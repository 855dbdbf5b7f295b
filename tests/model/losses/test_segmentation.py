import math

import oracles
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from model.losses.segmentation import (
    SMALLEST_LIKELIHOOD,
    likelihood_ends,
    negative_log,
    segmentation_loss_elements,
)

PAPER = (-20.0, -10.0, 10.0, 20.0)
TAU_MAX, TAU_MIN = 0.9, 0.1

scores = st.floats(0.0, 1.0)
inner_scores = st.floats(0.05, 0.95)
shifts = st.floats(-60.0, 60.0) | st.sampled_from([-32768.0, -20.0, -10.0, 0.0, 10.0, 20.0, 32766.0])


@st.composite
def zones(draw: st.DrawFn) -> tuple[float, float, float, float]:
    k2, k3 = draw(st.integers(-15, -1)), draw(st.integers(1, 15))
    return float(k2 - draw(st.integers(1, 15))), float(k2), float(k3), float(k3 + draw(st.integers(1, 15)))


def column(row: tuple[float, float, float, float]) -> torch.Tensor:
    return torch.tensor(row, dtype=torch.float64)[:, None]


def elements(
    p: float | torch.Tensor, s: float, row: tuple[float, ...] = PAPER, **options: object
) -> torch.Tensor:
    score = torch.as_tensor(p, dtype=torch.float64).reshape(1)
    shift = torch.tensor([s], dtype=torch.float64)
    options = {"tau_max": TAU_MAX, "tau_min": TAU_MIN, **options}
    return segmentation_loss_elements(score, shift, column(row), **options)


def cost(p: float, s: float, row: tuple[float, ...] = PAPER, **options: object) -> float:
    return float(elements(p, s, row, **options))


def steepest(p: float, row: tuple[float, ...]) -> float:
    """Bound of the loss's slope over time: the narrowest zone over the smallest likelihood."""
    return 1.0 / (min(row[1] - row[0], row[2], row[3] - row[2]) * min(p, 1.0 - p))


@given(st.floats(0.001, 0.999), shifts, zones(), st.floats(0.6, 1.0), st.floats(0.0, 0.4))
def test_penalty_is_that_of_equations_1_to_8(p: float, s: float, row, tau_max: float, tau_min: float) -> None:
    expected = oracles.penalty_with_margin(p, s, row, tau_max, tau_min)
    assert cost(p, s, row, tau_max=tau_max, tau_min=tau_min) == pytest.approx(expected, abs=1e-6)


@given(scores | st.sampled_from([0.0, 1.0]), shifts, zones())
def test_loss_and_its_gradient_are_finite_for_every_score_and_shift(p: float, s: float, row) -> None:
    for dtype in (torch.float32, torch.float64):
        score = torch.tensor([p], dtype=dtype, requires_grad=True)
        shift, bounds = torch.tensor([s], dtype=dtype), column(row).to(dtype)
        value = segmentation_loss_elements(score, shift, bounds, tau_max=TAU_MAX, tau_min=TAU_MIN)
        value.sum().backward()
        assert value.isfinite().all() and value >= 0
        assert score.grad is not None and score.grad.isfinite().all()


@given(scores, st.floats(-10.0, 0.0, exclude_min=True, exclude_max=True))
def test_just_before_an_action_every_score_is_free(p: float, s: float) -> None:
    assert cost(p, s) == 0


@given(st.floats(0.0, TAU_MIN - 1e-9), st.floats(-100.0, -20.0) | st.floats(20.0, 100.0))
def test_far_from_actions_scores_below_the_minimum_margin_are_free(p: float, s: float) -> None:
    assert cost(p, s) == 0


@given(st.floats(TAU_MIN + 1e-6, 1.0), st.floats(-100.0, -20.0) | st.floats(20.0, 100.0))
def test_far_from_actions_scores_above_the_minimum_margin_cost(p: float, s: float) -> None:
    assert cost(p, s) > 0


@given(st.floats(TAU_MAX + 1e-9, 1.0), st.floats(0.0, 10.0, exclude_max=True))
def test_just_after_an_action_scores_above_the_maximum_margin_are_free(p: float, s: float) -> None:
    assert cost(p, s) == 0


@given(st.floats(0.0, TAU_MAX - 1e-6))
def test_on_an_action_scores_below_the_maximum_margin_cost(p: float) -> None:
    assert cost(p, 0.0) > 0


@given(inner_scores, shifts, st.floats(0.0, 1.0), zones())
def test_loss_is_continuous_in_the_shift_except_at_actions(p: float, s: float, step: float, row) -> None:
    assume(not s < 0 <= s + step)
    assert abs(cost(p, s + step, row) - cost(p, s, row)) <= step * steepest(p, row) * (1 + 1e-9) + 1e-9


def test_loss_jumps_at_an_action() -> None:
    assert cost(0.5, -1e-9) == 0
    assert cost(0.5, 0.0) == pytest.approx(math.log(2) + math.log(0.9))


@given(inner_scores, st.lists(st.integers(0, 99), max_size=6), zones())
def test_loss_is_continuous_through_time_however_close_actions_are(p: float, actions, row) -> None:
    by_frame = [cost(p, s, row) for s in oracles.time_shift(actions, 100, row)]
    for frame in set(range(1, 100)) - set(actions):
        assert abs(by_frame[frame] - by_frame[frame - 1]) <= steepest(p, row) + 1e-9


def test_frame_just_after_an_action_costs_more_than_frame_just_before() -> None:
    assert cost(0.2, 1.0) > cost(0.2, -1.0)


@given(shifts, scores, scores)
def test_higher_scores_cost_less_just_after_an_action_and_more_elsewhere(
    s: float, p: float, q: float
) -> None:
    low, high = sorted((p, q))
    if 0 <= s < PAPER[2]:
        assert cost(high, s) <= cost(low, s)
    else:
        assert cost(low, s) <= cost(high, s)


@pytest.mark.parametrize(("p", "s", "sign"), [(0.0, 0.0, -1), (1.0, -20.0, 1), (1.0, 20.0, 1)])
def test_worst_scores_are_pushed_the_right_way(p: float, s: float, sign: int) -> None:
    score = torch.tensor([p], dtype=torch.float64, requires_grad=True)
    elements(score, s).sum().backward()
    assert score.grad is not None
    assert float(score.grad) * sign > 1.0


def test_logarithm_continues_without_a_jump_or_a_kink_below_the_smallest_likelihood() -> None:
    likelihood = SMALLEST_LIKELIHOOD * torch.tensor([1 - 1e-6, 1 + 1e-6], dtype=torch.float64)
    likelihood.requires_grad_()
    values = negative_log(likelihood)
    (slopes,) = torch.autograd.grad(values.sum(), likelihood)
    torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-5, atol=0)


@given(shifts, zones())
def test_likelihood_is_the_argument_of_the_logarithm_at_both_ends(s: float, row) -> None:
    at_zero, at_one = likelihood_ends(torch.tensor([s], dtype=torch.float64), column(row))
    for end, p in ((at_zero, 0.0), (at_one, 1.0)):
        assert 0 <= float(end) <= 1
        if float(end) > 0:
            assert -math.log(float(end)) == pytest.approx(oracles.penalty(p, s, row), abs=1e-9)
        else:
            with pytest.raises(ValueError, match=r"math domain|expected a positive"):
                oracles.penalty(p, s, row)


@given(st.floats(0.001, 0.999), shifts, zones())
def test_original_code_adds_to_the_likelihood_where_the_paper_mixes(p: float, s: float, row) -> None:
    _, _, k3, k4 = row
    expected = oracles.penalty(p, s, row)
    if 0 <= s < k3:
        expected = -math.log(p + s / k3)
    elif k3 <= s < k4:
        expected = -math.log(1 - p + (k4 - s) / (k4 - k3))
    satisfied = TAU_MAX if 0 <= s < k3 else 1 - TAU_MIN
    expected = max(0.0, expected + math.log(satisfied))
    assert cost(p, s, row, form="published-2020") == pytest.approx(expected, abs=1e-6)
    assert expected <= cost(p, s, row) + 1e-6
