from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model.data.checks.check import check_dataset
from model.data.layout.description import builtin_description, write_description
from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import PLANTED_ZONES_S, planted_zones_s, write_synthetic
from model.errors import ConfigError, DataError

GAMES = {"train": 4, "valid": 1, "test": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic(folder, games=GAMES, minutes=20, seed=5)
    return folder


@pytest.fixture(scope="module")
def train(root: Path) -> Store:
    return open_split(root, features="synthetic", split="train", cache=root / "cache")


def mean_around(train: Store, class_index: int, from_s: float, to_s: float) -> npt.NDArray[np.float64]:
    """Mean features over all actions of a class, from ``from_s`` to ``to_s`` seconds after them."""
    windows = []
    for half, frame, index, _ in train.actions:
        start, stop = (frame + train.frame_rate.to_frames(time_s) for time_s in (from_s, to_s))
        if index == class_index and 0 <= start and stop <= train.halves[half].frames:
            first = train.halves[half].first_frame
            windows.append(train.features[first + start : first + stop].mean(axis=0, dtype=np.float64))
    mean: npt.NDArray[np.float64] = np.mean(windows, axis=0)
    return mean


def test_synthetic_games_are_a_sound_data_set(root: Path) -> None:
    report = check_dataset(root, features=None)
    assert report.problems == () and report.games == GAMES
    assert set(report.actions["train"].values()) == {24}


def test_planted_zones_are_ordered_and_differ_between_classes() -> None:
    for k1, k2, k3, k4 in planted_zones_s().values():
        assert k1 < k2 < 0 < k3 < k4
    assert len({after_s for _, after_s in PLANTED_ZONES_S.values()}) == len(PLANTED_ZONES_S)


@pytest.mark.parametrize("index", range(len(PLANTED_ZONES_S)))
def test_the_trace_after_an_action_lasts_as_long_as_planted(index: int, train: Store) -> None:
    _, after_s = list(PLANTED_ZONES_S.values())[index]
    trace = mean_around(train, index, after_s / 2, after_s)
    direction = trace / np.linalg.norm(trace)
    assert mean_around(train, index, after_s - 4.0, after_s) @ direction > 1.5
    assert mean_around(train, index, after_s + 0.5, after_s + 4.5) @ direction < 1.0


def test_zones_cut_to_a_quarter_see_nothing_of_the_class(train: Store) -> None:
    starts = [
        mean_around(train, index, 0.5, 0.375 * after_s)
        for index, (_, after_s) in enumerate(PLANTED_ZONES_S.values())
    ]
    ends = [
        mean_around(train, index, 0.5 * after_s, after_s)
        for index, (_, after_s) in enumerate(PLANTED_ZONES_S.values())
    ]
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert np.linalg.norm(starts[one] - starts[other]) < 1.5
        assert np.linalg.norm(ends[one] - ends[other]) > 2.0


def test_the_same_seed_gives_the_same_games_whatever_their_number(root: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path, games={"train": 1}, minutes=20, seed=5)
    write_synthetic(tmp_path / "other", games={"train": 1}, minutes=20, seed=6)
    file = "synthetic/train/game-001/1_SYNTHETIC.npy"
    assert (tmp_path / file).read_bytes() == (root / file).read_bytes()
    assert (tmp_path / "other" / file).read_bytes() != (root / file).read_bytes()


def test_another_data_set_is_left_alone_and_the_same_is_written_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "own", games={"train": 1, "valid": 1}, minutes=20, progress=stop_after_one)
    with pytest.raises(DataError, match="not finished"):
        check_dataset(tmp_path / "own", features="synthetic")
    write_synthetic(tmp_path / "own", games={"train": 1, "valid": 1}, minutes=20)
    write_synthetic(tmp_path / "own", games={"train": 2}, minutes=20)
    assert (tmp_path / "own" / "train.txt").read_text().count("game-") == 2
    write_description(tmp_path, builtin_description("wyscout"))
    with pytest.raises(DataError, match="another data set"):
        write_synthetic(tmp_path, games={"train": 1}, minutes=20)
    assert builtin_description("wyscout").name in (tmp_path / "dataset.toml").read_text()


def stop_after_one(done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_too_few_dimensions_or_minutes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="7 dimensions"):
        write_synthetic(tmp_path, games={"train": 1}, dims=6)
    with pytest.raises(ConfigError, match="14 minutes"):
        write_synthetic(tmp_path, games={"train": 1}, minutes=13)
