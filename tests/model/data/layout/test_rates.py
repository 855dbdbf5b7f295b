"""Frame rates of data folders as people have them: known, assumed, wrong, of single halves; match clocks."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from soccernet_folder import (
    frames_of_its_own,
    halves,
    note,
    opened,
    problems,
    v2_notes,
    write_game,
    write_splits,
)

from model.data.checks.check import check_dataset
from model.data.layout.rates import HalfLength, rate_doubt
from model.errors import DataError
from model.timeline import FrameRate


def at_rate(root: Path, stem: str, rate: float) -> Path:
    return write_splits(root, lambda game: write_game(root, game, v2_notes(), halves(stem, int(2700 * rate))))


@pytest.mark.parametrize(
    ("stem", "rate"),
    [
        ("baidu_soccer_embeddings", 1.0),
        ("ResNET_TF2", 2.0),
        ("ResNET_5fps_TF2_PCA512", 5.0),
        ("ResNET_25fps_TF2", 25.0),
        ("mine_12.5fps", 12.5),
    ],
)
def test_known_stems_bring_their_rate(stem: str, rate: float, tmp_path: Path) -> None:
    root = at_rate(tmp_path / "data", stem, rate)
    report = check_dataset(root, features=stem)
    assert report.problems == () and report.notices == () and report.rates == {stem: rate}
    assert opened(root, features=stem).frame_rate.per_second == rate


@pytest.mark.parametrize("longer", [0, 10])
def test_transposed_arrays_are_told_as_such_and_not_as_a_wrong_rate_or_width(
    longer: int, tmp_path: Path
) -> None:
    frames = itertools.count(5400, longer)

    def write(game: str) -> None:
        features = {f"{half}_MINE": frames_of_its_own(3, next(frames)) for half in (1, 2)}
        write_game(tmp_path, game, v2_notes(), features)

    (problem,) = problems(check_dataset(write_splits(tmp_path, write), features="MINE"))
    assert "1_MINE.npy: shape: the arrays seem to be transposed: expected (frames, dims), got" in problem
    assert "6 files of 3 rows, this one with 5400 columns; save features.T" in problem


@pytest.mark.parametrize("rate", [1.0, 5.0, 25.0])
def test_assumed_rate_that_cannot_be_right_is_a_problem_with_the_one_that_fits(
    rate: float, tmp_path: Path
) -> None:
    root = at_rate(tmp_path / "data", "MINE", rate)
    (problem,) = problems(check_dataset(root, features="MINE"))
    assert f"{rate:g} per second would fit" in problem and "dataset.toml" in problem
    with pytest.raises(DataError, match="would fit"):
        opened(root, features="MINE")
    (root / "dataset.toml").write_text(
        f'labels = "v2"\n[features]\nmine = {{ stem = "MINE", frame_rate = {rate} }}\n'
    )
    assert check_dataset(root, features="mine").problems == ()
    assert opened(root, features="mine").frame_rate.per_second == rate


def test_published_stem_with_frames_of_another_rate_is_told_but_read(tmp_path: Path) -> None:
    root = at_rate(tmp_path / "data", "ResNET_PCA512", 5.0)
    (problem,) = problems(check_dataset(root, features="resnet"))
    assert "longer than 70 minutes" in problem and "5 per second would fit (median 45.0 min)" in problem
    assert any("5 per second would fit" in notice for notice in opened(root).notices)


def test_rate_of_a_data_set_that_contradicts_a_published_stem_is_refused(tmp_path: Path) -> None:
    root = at_rate(tmp_path / "data", "ResNET_5fps_TF2", 5.0)
    (root / "dataset.toml").write_text('labels = "v2"\nframe_rate = 2.0\n')
    with pytest.raises(DataError, match=r"ResNET_5fps_TF2 have 5 .* frame_rate = 2"):
        opened(root, features="ResNET_5fps_TF2")


def test_features_of_other_data_named_as_published_ones_have_the_rate_that_is_declared(
    tmp_path: Path,
) -> None:
    own = 'name = "mine"\nlabels_file = "Labels-v2.json"\n[classes]\nany = ["*"]\n'
    root = at_rate(tmp_path / "data", "I3D", 5.0)
    (root / "dataset.toml").write_text(f"frame_rate = 5.0\n{own}")
    assert opened(root, features="I3D").frame_rate.per_second == 5
    (root / "dataset.toml").write_text(own)
    (problem,) = problems(check_dataset(root, features="I3D"))
    assert "at 2 frames per second" in problem and "assumed, nothing declares it" in problem
    (root / "dataset.toml").write_text('labels = "v2"\nframe_rate = 5.0\n')
    with pytest.raises(DataError, match=r"I3D have 2 .* frame_rate = 5"):
        opened(root, features="I3D")


def test_whole_match_in_one_file_is_no_long_half(tmp_path: Path) -> None:
    root = tmp_path / "data"
    notes = v2_notes(halves=(1,), last_s=5700)
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", 11_640, (1,))))
    assert check_dataset(root, features="MINE").problems == ()


@pytest.mark.parametrize(("rate", "half_s"), [(3.0, 2700), (5.0, 620)], ids=["3 per second", "short halves"])
def test_assumed_rate_at_which_all_halves_go_on_after_their_last_action_is_doubted(
    rate: float, half_s: int, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    notes, frames = v2_notes(last_s=half_s - 60), int(half_s * rate)
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", frames)))
    (problem,) = problems(check_dataset(root, features="MINE"))
    assert "6 of 6 halves go on for 10 min or more after their last action" in problem
    assert f"up to {frames / (half_s - 60):.2g} per second would fit" in problem
    (told,) = opened(root, features="MINE").notices
    assert "2 of 2 halves go on" in told
    (root / "dataset.toml").write_text('labels = "v2"\nframe_rate = 2.0\n')
    assert check_dataset(root, features="MINE").problems == ()


def test_few_actions_that_happen_to_come_early_raise_no_doubt_of_the_rate(tmp_path: Path) -> None:
    root = tmp_path / "data"
    notes = [note(1, 60, "Goal"), note(1, 1800, "Goal"), note(2, 1200, "Foul")]
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", 5400)))
    found = [*problems(check_dataset(root, features="MINE")), *opened(root, features="MINE").notices]
    assert not [line for line in found if "per second" in line]


def test_rate_below_all_usual_ones_is_one_problem_with_the_highest_that_fits(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=3600), halves("MINE", 1000)))
    (problem,) = problems(check_dataset(root, features="MINE"))
    assert "end more than 60 s before their last action" in problem
    assert "up to 0.28 per second would fit (median 60.0 min)" in problem


def periods(minutes: float, rate: float, *, count: int = 6) -> list[HalfLength]:
    """Parts with an action a minute, the last one a minute before their end."""
    return [
        HalfLength(
            name=f"game, part {number}",
            number=number,
            frames=int(60 * minutes * rate),
            actions=int(minutes) - 1,
            last_action_s=60 * (minutes - 1),
            is_whole_game=False,
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("minutes", "rate", "declared", "highest"),
    [
        (10, 2, 4, "2.2"),
        (10, 1, 2, "1.1"),
        (12, 2, 5, "2.2"),
        (20, 2, 5, "2.1"),
        (30, 2, 5, "2.1"),
        (10, 25, 2, "28"),
    ],
)
def test_no_rate_that_makes_halves_of_soccer_of_short_parts_is_advised(
    minutes: float, rate: float, declared: float, highest: str
) -> None:
    doubt = rate_doubt(periods(minutes, rate), FrameRate(declared))
    assert doubt is not None and f"; up to {highest} per second would fit" in doubt.text


def test_one_half_that_is_cut_off_hides_no_wrong_rate() -> None:
    parts = periods(10, 2, count=20)
    parts[3] = replace(parts[3], frames=100)
    doubt = rate_doubt(parts, FrameRate(4))
    assert doubt is not None and doubt.ends_early and "up to 2.2 per second would fit" in doubt.text


@pytest.mark.parametrize("rate", [1.0, 5.0, 12.5, 25.0])
@pytest.mark.parametrize("minutes", [40, 45, 50])
def test_rate_of_usual_halves_is_named(minutes: float, rate: float) -> None:
    doubt = rate_doubt(periods(minutes, rate), FrameRate(2))
    assert doubt is not None and f"; {rate:g} per second would fit (median {minutes:.1f} min)" in doubt.text


def test_lengths_that_vary_say_nothing_about_the_rate(tmp_path: Path) -> None:
    root, frames = tmp_path / "data", {"l/s/train": 2400, "l/s/valid": 5400, "l/s/test": 9000}
    notes = v2_notes(halves=(1,), last_s=600)[:3]
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", frames[game], (1,))))
    (root / "dataset.toml").write_text(
        'labels = "v2"\n[features]\nmine = { stem = "MINE", frame_rate = 2 }\n'
    )
    report = check_dataset(root, features="MINE")
    assert [notice for notice in report.notices if "far longer" in notice] == []


@pytest.mark.parametrize(("last_s", "is_told"), [(2640.0, True), (6600.0, False)], ids=["off", "long match"])
def test_single_halves_far_longer_than_others_are_told_unless_they_have_actions_to_their_end(
    last_s: float, is_told: bool, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(), halves("MINE", 5400)))
    write_game(root, "l/s/valid", v2_notes(last_s=last_s), halves("MINE", 13_500))
    report = check_dataset(root, features="MINE")
    assert report.problems == ()
    assert [notice for notice in report.notices if "2 of 6 halves are far longer" in notice] == (
        list(report.notices) if is_told else []
    )
    if is_told:
        (notice,) = report.notices
        assert "l/s/valid, half 1, 112.5 min at 2 frames per second (median 45.0 min; its last" in notice


def clocked(second_half: list[float]) -> list[dict[str, object]]:
    """Actions of two halves without ``position``; the first has one every ten minutes."""
    notes = [note(1, 600.0 * n, "Goal") for n in range(5)] + [note(2, time, "Foul") for time in second_half]
    for each in notes:
        del each["position"]
    return notes


@pytest.mark.parametrize(
    "minutes",
    [(45.5, 46.2, 47.7), (46.0, 60.0, 75.0, 91.5)],
    ids=["at the end of the features", "over the whole half"],
)
def test_second_half_counted_from_the_kick_off_is_one_problem(
    minutes: tuple[float, ...], tmp_path: Path
) -> None:
    root, notes = tmp_path / "data", clocked([60 * minute for minute in minutes])
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", 5520)))
    report = check_dataset(root, features="MINE")
    (problem,) = [line for line in problems(report) if "no action" not in line]
    clock = f'"2 - {int(minutes[0])}:{60 * (minutes[0] % 1):02.0f}"'
    assert f"all {3 * len(minutes)} actions of half 2 (3 label files, the first: {clock})" in problem
    assert problem.endswith("count from the start of the match; subtract 45:00")
    assert not [notice for notice in report.notices if "after the last frame" in notice]
    with pytest.raises(DataError, match="has 1 problem"):
        opened(root, features="MINE")


@pytest.mark.parametrize("minutes", [(10.0, 45.5, 46.2), (44.5, 45.2, 45.9), (45.5, 46.7)])
def test_late_actions_of_a_second_half_do_not_count_from_the_kick_off(
    minutes: tuple[float, ...], tmp_path: Path
) -> None:
    root, notes = tmp_path / "data", clocked([60 * minute for minute in minutes])
    write_splits(root, lambda game: write_game(root, game, notes, halves("MINE", 5520 + 120)))
    assert not [line for line in problems(check_dataset(root, features="MINE")) if "no action" not in line]


def test_clips_of_minutes_that_end_before_their_actions_have_another_rate() -> None:
    def clip(number: int) -> HalfLength:
        return HalfLength(
            name=f"clip {number}",
            number=1,
            frames=3596,
            actions=40,
            last_action_s=118.0,
            is_whole_game=True,
        )

    clips = [clip(number) for number in range(4)]
    doubt = rate_doubt(clips, FrameRate(60.0))
    assert doubt is not None and doubt.ends_early
    assert "4 of 4 halves end more than 11.8 s before their last action" in doubt.text
    assert rate_doubt(clips, FrameRate(29.97)) is None
