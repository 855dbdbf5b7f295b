import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.encoding import SpottingTargets
from model.losses.spotting import spotting_loss

CLASSES = 3


def targets_of(chunks: list[list[tuple[float, int]]], slots: int) -> SpottingTargets:
    location = torch.zeros(len(chunks), slots, dtype=torch.float64)
    class_index = torch.zeros(len(chunks), slots, dtype=torch.long)
    is_action = torch.zeros(len(chunks), slots, dtype=torch.bool)
    for chunk, actions in enumerate(chunks):
        for slot, (place, index) in enumerate(actions):
            location[chunk, slot], class_index[chunk, slot], is_action[chunk, slot] = place, index, True
    return SpottingTargets(location, class_index, is_action)


def action_vectors(actions: list[tuple[float, int]]) -> list[list[float]]:
    return [[1.0, place, *(float(index == c) for c in range(CLASSES))] for place, index in actions]


def random_predictions(chunks: int, slots: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(chunks, slots, 2 + CLASSES, generator=generator, dtype=torch.float64)


@st.composite
def truths(draw: st.DrawFn) -> tuple[int, list[list[tuple[float, int]]]]:
    """Number of predictions and the actions (location, class) of some chunks."""
    slots = draw(st.integers(1, 6))
    action = st.tuples(st.floats(0.0, 1.0), st.integers(0, CLASSES - 1))
    return slots, draw(st.lists(st.lists(action, max_size=slots), min_size=1, max_size=3))


def perfect(slots: int, chunks: list[list[tuple[float, int]]]) -> torch.Tensor:
    rows = torch.zeros(len(chunks), slots, 2 + CLASSES, dtype=torch.float64)
    for chunk, actions in enumerate(chunks):
        if actions:
            rows[chunk, : len(actions)] = torch.tensor(action_vectors(actions), dtype=torch.float64)
        rows[chunk, len(actions) :, 1] = 2.0  # silent predictions may point anywhere
    return rows


@given(truths(), st.integers(0, 99), st.floats(0.0, 20.0), st.floats(0.0, 5.0))
def test_loss_is_that_of_equation_10(truth, seed: int, alpha2: float, beta: float) -> None:
    slots, chunks = truth
    predicted = random_predictions(len(chunks), slots, seed)
    computed = spotting_loss(predicted, targets_of(chunks, slots), alpha2=alpha2, beta=beta)
    for actions, rows, value in zip(chunks, predicted.tolist(), computed.tolist(), strict=True):
        expected = oracles.spotting_loss(action_vectors(actions), rows, alpha2, beta)
        assert value == pytest.approx(expected, rel=1e-9)


@given(truths(), st.integers(0, 99))
def test_perfect_prediction_costs_nothing_in_whatever_order_it_comes(truth, seed: int) -> None:
    slots, chunks = truth
    chunks = [list({place: (place, index) for place, index in actions}.values()) for actions in chunks]
    predicted = perfect(slots, chunks)[
        :, torch.randperm(slots, generator=torch.Generator().manual_seed(seed))
    ]
    assert spotting_loss(predicted, targets_of(chunks, slots), alpha2=5.0, beta=0.5).tolist() == [0.0] * len(
        chunks
    )


def test_unmatched_predictions_pay_for_confidence_alone() -> None:
    predicted = random_predictions(1, 3, seed=1).requires_grad_()
    predicted.data[0, :, 1] = torch.tensor([0.1, 0.5, 0.9])
    spotting_loss(predicted, targets_of([[(0.5, 2)]], 3), alpha2=5.0, beta=0.5).sum().backward()
    slope = predicted.grad
    assert slope is not None
    torch.testing.assert_close(slope[0, [0, 2], 0], predicted.detach()[0, [0, 2], 0])  # beta * 2 * confidence
    assert (slope[0, [0, 2], 1:] == 0).all()
    assert (slope[0, 1] != 0)[[0, 2, 3, 4]].all()


def test_slots_may_be_fewer_than_predictions() -> None:
    predicted = random_predictions(1, 4, seed=2)
    computed = spotting_loss(predicted, targets_of([[(0.3, 1)]], 1), alpha2=5.0, beta=0.5)
    expected = oracles.spotting_loss(action_vectors([(0.3, 1)]), predicted[0].tolist(), 5.0, 0.5)
    assert float(computed) == pytest.approx(expected)
