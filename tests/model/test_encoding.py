import numpy as np
import oracles
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import encoding
from model.data.stores import distances
from model.data.stores.distances import action_distances
from model.encoding import Zones, spotting_targets, time_shift
from model.errors import ConfigError
from model.timeline import FrameRate

ONE_CLASS = (-20.0, -10.0, 10.0, 20.0)


@st.composite
def halves(draw: st.DrawFn) -> tuple[int, list[int], tuple[int, int, int, int]]:
    """Frames of a half, frames of its actions, zones."""
    frames = draw(st.integers(1, 80))
    actions = draw(st.lists(st.integers(0, frames - 1), max_size=5, unique=True))
    k2, k3 = draw(st.integers(-12, -1)), draw(st.integers(1, 12))
    return frames, actions, (k2 - draw(st.integers(1, 12)), k2, k3, k3 + draw(st.integers(1, 12)))


def shifts(frames: int, actions: list[int], zones: tuple[float, ...]) -> list[float]:
    past, future = (torch.tensor(row)[:, None] for row in oracles.distances(actions, frames))
    return time_shift(past, future, Zones((zones,)).tensor()).squeeze(1).tolist()


@given(halves())
def test_shift_follows_the_rules_of_the_paper_in_every_frame(half) -> None:
    frames, actions, zones = half
    assert shifts(frames, actions, zones) == oracles.time_shift(actions, frames, zones)


def test_every_class_has_its_own_actions_and_zones() -> None:
    zones = ((-4, -2, 3, 6), (-9, -1, 1, 2))
    columns = [oracles.distances(actions, 40) for actions in ([5, 12], [30])]
    past, future = (torch.tensor([column[kind] for column in columns]).T for kind in (0, 1))
    both = time_shift(past, future, Zones(zones).tensor())
    assert both[:, 0].tolist() == oracles.time_shift([5, 12], 40, zones[0])
    assert both[:, 1].tolist() == oracles.time_shift([30], 40, zones[1])


def test_half_without_actions_is_far_before_one_everywhere() -> None:
    assert shifts(30, [], ONE_CLASS) == [-20.0] * 30


def test_before_the_first_and_after_the_last_action_the_shift_is_the_only_one_there_is() -> None:
    computed = shifts(200, [90, 100], ONE_CLASS)
    assert computed[:80] == [frame - 90 for frame in range(80)]
    assert computed[120:] == [frame - 100 for frame in range(120, 200)]


def test_frame_of_an_action_has_no_shift() -> None:
    computed = shifts(50, [9, 10, 42], ONE_CLASS)
    assert [computed[frame] for frame in (9, 10, 42)] == [0, 0, 0]


def test_between_two_close_actions_the_nearer_transition_zone_wins() -> None:
    computed = shifts(40, [0, 30], ONE_CLASS)
    assert computed[14] == 14  # 4 of 10 frames into leaving the past, 4 of 10 still to come: a tie is broken
    assert computed[16] == -14


def test_marks_for_no_past_and_no_future_are_those_that_stores_hold() -> None:
    assert (encoding.NO_PAST, encoding.NO_FUTURE) == (distances.NO_PAST, distances.NO_FUTURE)


@given(
    st.integers(1, 6),
    st.integers(1, 3).flatmap(
        lambda classes: st.lists(
            st.lists(st.tuples(st.integers(0, 29), st.integers(0, classes - 1)), max_size=9, unique=True),
            min_size=1,
            max_size=4,
        )
    ),
)
def test_targets_list_actions_by_frame_then_class_and_leave_out_what_exceeds_the_slots(
    slots: int, chunks: list[list[tuple[int, int]]]
) -> None:
    is_action = torch.zeros(30, len(chunks), 3, dtype=torch.bool)
    for chunk, actions in enumerate(chunks):
        for frame, class_index in actions:
            is_action[frame, chunk, class_index] = True
    targets = spotting_targets(is_action, slots)
    for chunk, actions in enumerate(chunks):
        listed = sorted(actions)[:slots]
        padding = slots - len(listed)
        assert targets.is_action[chunk].tolist() == [True] * len(listed) + [False] * padding
        assert targets.class_index[chunk].tolist() == [row[1] for row in listed] + [0] * padding
        expected = torch.tensor([row[0] / 30 for row in listed] + [0.0] * padding)
        torch.testing.assert_close(targets.location[chunk], expected)


def test_zones_are_given_in_seconds_by_class_name() -> None:
    zones_s = {"default": [-20, -10, 10, 20], "goal": [-20, -10, 60, 90]}
    zones = Zones.from_seconds(zones_s, ["card", "goal"], FrameRate(2.0))
    assert zones.per_class == ((-40, -20, 20, 40), (-40, -20, 120, 180))
    assert zones.tensor().tolist() == [[-40, -40], [-20, -20], [20, 120], [40, 180]]


@pytest.mark.parametrize(
    "row",
    [
        (-1, -2, 3, 4),
        (-2, -1, 4, 3),
        (-2, 0, 1, 2),
        (-2, -1, 0, 2),
        (-2, -2, 1, 2),
        (-2, -1, float("nan"), 2),
    ],
)
def test_zones_out_of_order_are_refused(row: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="K1 < K2 < 0 < K3 < K4"):
        Zones(((-2, -1, 1, 2), row))


@pytest.mark.parametrize(
    ("seconds", "per_second", "complaint"),
    [
        (
            (-1, -0.4, 0.4, 1),
            1.0,
            r"'goal' must satisfy K1 < K2 < 0 < K3 < K4, got -1, 0, 0, 1 frames at 1 per s",
        ),
        ((-5.4, -5.0, 3, 5), 1.0, r"got -5, -5, 3, 5 frames at 1 per second \(-5.4, -5, 3, 5 s\)"),
        ((-1400, -5, 3, 5), 25.0, "'goal' must satisfy -32766 <= K1 and K4 <= 32766, got -35000, "),
        ((-10, -5, 3, 1310.68), 25.0, "got -250, -125, 75, 32767 frames"),
    ],
)
def test_zones_that_are_impossible_in_frames_name_class_rate_and_remedy(
    seconds: tuple[float, ...], per_second: float, complaint: str
) -> None:
    zones_s = {"default": (-20, -10, 10, 20), "goal": seconds}
    with pytest.raises(ConfigError, match=complaint) as caught:
        Zones.from_seconds(zones_s, ["card", "goal"], FrameRate(per_second))
    limit = 32766 / per_second
    assert f"at least {1 / per_second:g} s apart, and at most {limit:g} s" in caught.value.details["fix"]


def test_zone_as_wide_as_the_largest_stored_distance_is_the_widest() -> None:
    farthest = distances.FARTHEST
    Zones(((-farthest, -1, 1, farthest),))
    with pytest.raises(ConfigError, match="zones of class 0 must satisfy -32766 <= K1"):
        Zones(((-farthest - 1, -1, 1, farthest),))
    past, future = action_distances(np.array([[40_000, 0]]), frames=80_000, classes=1)
    frames = np.array(
        [0, 40_000 - farthest - 1, 40_000 - farthest, 40_000 + farthest - 1, 40_000 + farthest + 99]
    )
    zones = torch.tensor([-farthest, -1.0, 1.0, farthest])[:, None]
    shift = time_shift(torch.from_numpy(past[frames]), torch.from_numpy(future[frames]), zones)
    assert shift[:, 0].tolist() == [-farthest, -farthest, -farthest, farthest - 1, farthest]


def test_class_without_zones_is_named() -> None:
    with pytest.raises(ConfigError, match="'card'"):
        Zones.from_seconds({"goal": [-2, -1, 1, 2]}, ["goal", "card"], FrameRate(2.0))


def test_zones_that_are_not_four_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="four values"):
        Zones.from_seconds({"default": [-2, 1, 2]}, ["goal"], FrameRate(2.0))


def test_zones_that_vanish_between_two_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="K1 < K2 < 0 < K3 < K4"):
        Zones.from_seconds({"default": [-2, -1, 0.1, 2]}, ["goal"], FrameRate(2.0))
