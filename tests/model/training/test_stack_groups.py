import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.stack_groups import LAUNCH_COLUMNS, group_by_width


def cost(groups: list[list[int]], columns: list[int]) -> int:
    return sum(LAUNCH_COLUMNS + len(group) * max(columns[index] for index in group) for group in groups)


@given(st.lists(st.integers(1, 1100), min_size=1, max_size=64))
def test_every_network_is_in_one_group_and_no_cut_in_two_would_cost_less(columns: list[int]) -> None:
    groups = group_by_width(columns)
    assert sorted(index for group in groups for index in group) == list(range(len(columns)))
    assert all(group == sorted(group) for group in groups)
    order = sorted(range(len(columns)), key=columns.__getitem__)
    for cut in range(1, len(order)):
        assert cost(groups, columns) <= cost([order[:cut], order[cut:]], columns)
    assert cost(groups, columns) <= cost([order], columns)


@pytest.mark.parametrize(
    ("columns", "groups"),
    [
        ([48] * 64, [list(range(64))]),  # equal networks are one stack
        ([192, 12, 192, 12], [[0, 1, 2, 3]]),  # padding of a few costs less than launches
        ([1000, 50] * 8, [list(range(1, 16, 2)), list(range(0, 16, 2))]),
    ],
)
def test_networks_are_grouped_where_padding_costs_more_than_launches(
    columns: list[int], groups: list[list[int]]
) -> None:
    assert group_by_width(columns) == groups
