import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.stores.distances import FARTHEST, action_distances
from model.timeline import NO_FUTURE, NO_PAST


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2)), max_size=12))
def test_distances_are_those_of_the_closest_action_on_either_side(actions: list[tuple[int, int]]) -> None:
    rows = np.array(actions, dtype=np.int64).reshape(-1, 2)
    past, future = action_distances(rows, frames=30, classes=3)
    for frame in range(30):
        for index in range(3):
            at = [action for action, of in actions if of == index]
            before = [frame - action for action in at if action <= frame]
            after = [frame - action for action in at if action > frame]
            assert past[frame, index] == min(before, default=NO_PAST)
            assert future[frame, index] == max(after, default=NO_FUTURE)


@pytest.mark.parametrize("at", [0, 39_999])
def test_far_distances_are_clipped_and_never_look_like_no_action(at: int) -> None:
    past, future = action_distances(np.array([[at, 0]]), frames=40_000, classes=1)
    if at == 0:
        assert past[-1, 0] == FARTHEST < NO_PAST
    else:
        assert future[0, 0] == -FARTHEST > NO_FUTURE
