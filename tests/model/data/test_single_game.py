from pathlib import Path

import numpy as np
import pytest

from model.data.single_game import Wanted, find_game, game_name, half_in_memory, open_game, soccernet_root
from model.data.stores.store import Store
from model.errors import DataError
from model.timeline import NO_FUTURE, NO_PAST, FrameRate


def write_halves(folder: Path, stem: str, *shapes: tuple[int, int]) -> list[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    halves = [
        np.random.default_rng(index).normal(size=shape).astype(np.float32)
        for index, shape in enumerate(shapes)
    ]
    for number, half in enumerate(halves, start=1):
        np.save(folder / f"{number}_{stem}.npy", half)
    return halves


def opened(folder: Path, stem: str | None = None) -> Store:
    return open_game(
        find_game(folder), Wanted(dims=4, classes=("goal",), frame_rate=FrameRate(2.0), stem=stem)
    )


def test_both_halves_lie_one_after_the_other_without_actions(tmp_path: Path) -> None:
    first, second = write_halves(tmp_path, "EVENTS", (30, 4), (20, 4))
    store = opened(tmp_path)
    np.testing.assert_array_equal(store.features, np.concatenate([first, second]))
    assert [(half.number, half.first_frame, half.frames) for half in store.halves] == [
        (1, 0, 30),
        (2, 30, 20),
    ]
    assert (store.past == NO_PAST).all() and (store.future == NO_FUTURE).all() and not len(store.actions)


def test_features_of_the_network_s_width_are_found_among_others(tmp_path: Path) -> None:
    write_halves(tmp_path, "AUDIO", (30, 7), (20, 7))
    (wanted, _) = write_halves(tmp_path, "EVENTS", (30, 4), (20, 4))
    np.testing.assert_array_equal(opened(tmp_path).features[:30], wanted)


def test_two_kinds_of_features_that_fit_ask_for_a_choice(tmp_path: Path) -> None:
    for stem in ("AUDIO", "EVENTS"):
        write_halves(tmp_path, stem, (30, 4), (20, 4))
    with pytest.raises(DataError, match="found 2") as caught:
        opened(tmp_path)
    assert caught.value.details["found"] == "AUDIO (4), EVENTS (4)"
    assert opened(tmp_path, stem="AUDIO").halves[1].frames == 20


def test_no_features_that_fit_lists_what_is_there(tmp_path: Path) -> None:
    write_halves(tmp_path, "AUDIO", (30, 7), (20, 7))
    with pytest.raises(DataError, match="found 0") as caught:
        opened(tmp_path)
    assert caught.value.details["found"] == "AUDIO (7)"


def test_every_problem_of_the_halves_is_reported(tmp_path: Path) -> None:
    first, _ = write_halves(tmp_path, "EVENTS", (30, 4), (20, 5))
    first[3, 1] = np.nan
    np.save(tmp_path / "1_EVENTS.npy", first)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    places = {(Path(problem.file).name, problem.place) for problem in caught.value.problems}
    assert places == {("1_EVENTS.npy", "frame 3"), ("2_EVENTS.npy", "shape")}


def test_the_halves_that_are_there_are_opened_under_their_numbers(tmp_path: Path) -> None:
    write_halves(tmp_path, "EVENTS", (30, 4), (20, 4), (10, 4))
    (tmp_path / "1_EVENTS.npy").unlink()
    assert [(half.number, half.first_frame) for half in opened(tmp_path).halves] == [(2, 0), (3, 20)]


def test_parts_from_ten_on_come_after_those_before(tmp_path: Path) -> None:
    folder, parts = tmp_path / "game", (1, 2, 9, 10, 12)
    folder.mkdir()
    for part in parts:
        np.save(folder / f"{part}_X.npy", np.full((part, 3), part, dtype=np.float32))
    store = open_game(
        find_game(folder), Wanted(dims=3, frame_rate=FrameRate(2.0), classes=("goal",), stem=None)
    )
    assert [(half.number, half.frames) for half in store.halves] == [(part, part) for part in parts]
    assert store.features[:, 0].tolist() == [part for part in parts for _ in range(part)]


def test_half_that_the_data_set_declares_must_be_there(tmp_path: Path) -> None:
    game = tmp_path / "league" / "season" / "game"
    write_halves(game, "EVENTS", (30, 4))
    (tmp_path / "dataset.toml").write_text(
        'name = "mine"\nparts = 2\nlabels_file = "L.json"\nclasses.goal = ["goal"]\n'
    )
    with pytest.raises(DataError) as caught:
        opened(game)
    assert [str(problem) for problem in caught.value.problems] == [f"{game / '2_EVENTS.npy'}: missing"]


@pytest.mark.parametrize(
    ("declared", "stem"), [("x = { stem = 'X', frame_rate = 5 }", "X"), ("", "ResNET_5fps_TF2_PCA512")]
)
def test_features_at_another_rate_than_the_network_s_are_refused(
    declared: str, stem: str, tmp_path: Path
) -> None:
    game = tmp_path / "league" / "season" / "game"
    write_halves(game, stem, (30, 4))
    if declared:
        (tmp_path / "dataset.toml").write_text(f'labels = "v2"\n[features]\n{declared}\n')
    with pytest.raises(DataError, match=f"{stem} have 5 frames per second, the network was trained at 2"):
        opened(game)


def test_features_outside_of_a_data_set_are_not_taken_for_published_ones(tmp_path: Path) -> None:
    write_halves(tmp_path, "I3D", (30, 4))
    wanted = Wanted(dims=4, classes=("goal",), frame_rate=FrameRate(5.0), stem="I3D")
    store = open_game(find_game(tmp_path), wanted)
    assert store.frame_rate.per_second == 5


def test_stem_of_the_training_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    write_halves(tmp_path, "AUDIO", (30, 4))
    with pytest.raises(DataError, match="no features EVENTS, which the network was trained on") as caught:
        opened(tmp_path, stem="EVENTS")
    assert caught.value.details["found"] == "AUDIO"


def test_features_of_another_width_asked_for_by_name_are_refused(tmp_path: Path) -> None:
    write_halves(tmp_path, "AUDIO", (30, 7), (20, 7))
    with pytest.raises(DataError) as caught:
        opened(tmp_path, stem="AUDIO")
    assert "expected 4 dimensions per frame" in caught.value.problems[0].message


def test_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such game folder"):
        opened(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("folder", "described", "name"),
    [
        ("data/england_epl/2014-2015/a - b", None, "england_epl/2014-2015/a - b"),
        ("home/me/match", None, "match"),
        ("handball/cup/day 1/match", "handball", "cup/day 1/match"),
        ("handball/match", "handball", "match"),
    ],
)
def test_name_of_a_game_is_its_path_in_the_data(
    folder: str, described: str | None, name: str, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    if described:
        (tmp_path / described / "dataset.toml").write_text("")
    assert game_name(tmp_path / folder) == name


def test_game_that_is_a_link_belongs_to_the_data_in_which_it_is_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, data = tmp_path / "disk" / "2014-2015" / "42", tmp_path / "data"
    write_halves(disk, "X", (30, 4))
    data.mkdir()
    (data / "match").symlink_to(disk)
    (data / "dataset.toml").write_text('labels = "v2"\nfeatures.x = { stem = "X", frame_rate = 5 }\n')
    monkeypatch.chdir(data)
    for game in (data / "match", Path("match"), Path("../data/match")):
        assert game_name(game) == "match"
        with pytest.raises(DataError, match="X have 5 frames per second"):
            opened(game)
    # A link from elsewhere into the data is the game that it leads to.
    (tmp_path / "mine").symlink_to(data / "match")
    assert game_name(tmp_path / "mine") == "disk/2014-2015/42"
    (tmp_path / "disk" / "dataset.toml").touch()
    assert game_name(tmp_path / "mine") == "2014-2015/42"


def test_game_of_soccernet_that_is_a_link_belongs_to_the_league_in_which_it_is_linked(tmp_path: Path) -> None:
    disk, season = tmp_path / "disk" / "42", tmp_path / "data" / "league" / "2014-2015"
    disk.mkdir(parents=True)
    season.mkdir(parents=True)
    (season / "match").symlink_to(disk)
    assert game_name(season / "match") == "league/2014-2015/match"
    assert soccernet_root(season / "match") == tmp_path / "data"


def test_half_in_memory_is_the_half_of_a_file(tmp_path: Path) -> None:
    (half,) = write_halves(tmp_path, "EVENTS", (30, 4))
    read = opened(tmp_path)
    given = half_in_memory(half, Wanted(dims=4, classes=("goal",), frame_rate=FrameRate(2.0), stem=None))
    np.testing.assert_array_equal(given.features, read.features)
    assert [(each.number, each.frames) for each in given.halves] == [(1, 30)]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((30, 5), np.float32), r"expected features of shape \(frames, 4\).*got \(30, 5\)"),
        (np.zeros(30, np.float32), "expected features of shape"),
        (np.full((30, 4), np.nan, np.float32), "values that are not finite"),
    ],
)
def test_half_in_memory_that_does_not_fit_is_refused(features: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        half_in_memory(features, Wanted(dims=4, classes=("goal",), frame_rate=FrameRate(2.0), stem=None))
