import oracles
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.losses.matching import match_one_to_one

# Multiples of 1/8 are exact, so that equal distances are equal for everyone.
coarse = st.integers(0, 8).map(lambda eighth: eighth / 8)
fine = st.floats(0.0, 1.0, width=32).map(lambda value: round(value * 2**20) / 2**20)


@st.composite
def chunks(draw: st.DrawFn) -> list[tuple[list[float], list[float]]]:
    """Action locations, never more than predictions, and predicted locations of some chunks."""
    predictions = draw(st.integers(1, 6))
    location = draw(st.sampled_from([coarse, fine]))
    return draw(
        st.lists(
            st.tuples(
                st.lists(location, max_size=predictions),
                st.lists(location, min_size=predictions, max_size=predictions),
            ),
            min_size=1,
            max_size=4,
        )
    )


def matched(batch: list[tuple[list[float], list[float]]], slots: int | None = None) -> list[list[int]]:
    slots = len(batch[0][1]) if slots is None else slots
    actions = torch.zeros(len(batch), slots)
    is_action = torch.zeros(len(batch), slots, dtype=torch.bool)
    for chunk, (locations, _) in enumerate(batch):
        actions[chunk, : len(locations)] = torch.tensor(locations)
        is_action[chunk, : len(locations)] = True
    predicted = torch.tensor([row[1] for row in batch])
    return match_one_to_one(actions, is_action, predicted).tolist()


@given(chunks())
def test_every_action_gets_the_prediction_that_algorithm_1_gives_it(batch) -> None:
    for (actions, predicted), row in zip(batch, matched(batch), strict=True):
        expected = oracles.match(actions, predicted)
        assert row == [expected.get(slot, -1) for slot in range(len(row))]


@given(chunks())
def test_no_prediction_serves_two_actions_and_padding_gets_none(batch) -> None:
    for (actions, _), row in zip(batch, matched(batch), strict=True):
        used = row[: len(actions)]
        assert len(set(used)) == len(actions) and -1 not in used
        assert set(row[len(actions) :]) <= {-1}


def test_farther_action_takes_the_next_prediction_left() -> None:
    assert matched([([0.40, 0.50], [0.52, 0.90])]) == [[1, 0]]


def test_first_of_equally_close_predictions_is_taken() -> None:
    assert matched([([0.5], [0.75, 0.25])], slots=1) == [[0]]


def test_first_of_equally_close_actions_keeps_the_prediction() -> None:
    assert matched([([0.25, 0.75], [0.5, 1.0])]) == [[0, 1]]


def test_action_and_prediction_at_opposite_ends_of_the_chunk_are_still_matched() -> None:
    assert matched([([1.0, 1.0], [0.0, 0.0])]) == [[0, 1]]


def test_chunks_without_actions_match_nothing() -> None:
    assert matched([([], [0.1, 0.2]), ([], [0.3, 0.4])]) == [[-1, -1], [-1, -1]]
