from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.layout.description import SPLITS
from model.data.wyscout.splits import choose_splits
from model.errors import DataError

Source = Callable[..., Path]


def lists(folder: Path, source: Source, splits: Mapping[str, Sequence[object]]) -> Path:
    return source(folder, {"Cup": ([], [])}, splits=splits)


def test_the_lists_of_the_source_are_used_in_their_order(tmp_path: Path, source: Source) -> None:
    folder = lists(tmp_path, source, {"train": [3, 1], "valid": [2], "test": [5, 4]})
    splits = choose_splits(folder, {1, 2, 3, 4, 5}, seed=0)
    assert splits.matches == {"train": (3, 1), "valid": (2,), "test": (5, 4)}
    assert splits.split_of()[4] == "test"


@pytest.mark.parametrize("given_lists", [{}, {"train": [1, 2, 3]}, {"train": [1], "valid": [2], "test": []}])
def test_lists_that_lack_matches_give_way_to_a_draw_that_says_so(
    tmp_path: Path, source: Source, given_lists: dict[str, list[object]]
) -> None:
    splits = choose_splits(lists(tmp_path, source, given_lists), {1, 2, 3}, seed=4)
    assert "seed 4" in splits.origin
    assert ("there is no valid.txt and no test.txt" in splits.origin) == (list(given_lists) == ["train"])
    assert sorted(match for ids in splits.matches.values() for match in ids) == [1, 2, 3]
    assert all(splits.matches.values()), "no split is empty"


def test_all_wrong_lines_of_the_lists_are_named(tmp_path: Path, source: Source) -> None:
    folder = lists(tmp_path, source, {"train": [1, 99, "x"], "valid": ["", 1], "test": [2, 2, "1" * 5000]})
    with pytest.raises(DataError) as caught:
        choose_splits(folder, {1, 2}, seed=0)
    places = [(Path(problem.file).name, problem.place) for problem in caught.value.problems]
    assert places == [
        ("train.txt", "line 2"),
        ("train.txt", "line 3"),
        ("valid.txt", "line 2"),
        ("test.txt", "line 2"),
        ("test.txt", "line 3"),
    ]


@settings(deadline=None)
@given(st.sets(st.integers(0, 10_000), max_size=60), st.integers(0, 5))
def test_a_draw_takes_every_match_once_and_does_not_mind_their_order(known: set[int], seed: int) -> None:
    nowhere = Path("no such folder")
    splits = choose_splits(nowhere, known, seed=seed)
    drawn = [match for split in SPLITS for match in splits.matches[split]]
    assert sorted(drawn) == sorted(known)
    assert abs(len(splits.matches["train"]) - 0.6 * len(known)) <= 1
    assert abs(len(splits.matches["valid"]) - 0.2 * len(known)) <= 1
    assert splits == choose_splits(nowhere, sorted(known, reverse=True), seed=seed)


def test_another_seed_draws_other_splits() -> None:
    nowhere = Path("no such folder")
    assert (
        choose_splits(nowhere, range(50), seed=0).matches != choose_splits(nowhere, range(50), seed=1).matches
    )
