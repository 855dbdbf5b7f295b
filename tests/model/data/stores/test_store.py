import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.data.layout.description import builtin_description
from model.data.layout.split_lists import games_of_split, write_split
from model.data.stores import cache as cache_module
from model.data.stores.building import open_split
from model.data.stores.store import Store, open_store
from model.errors import DataError, UserError
from model.timeline import NO_FUTURE, NO_PAST

Write = Callable[..., Path]

BUILDER = """
import sys, time
from pathlib import Path
from model.data.stores.building import open_split

def pause(done, games):
    print("built", done, flush=True)
    time.sleep(float(sys.argv[3]))

root, cache = map(Path, sys.argv[1:3])
store = open_split(root, features="events", split="train", cache=cache, progress=pause)
print("digest", store.digest, flush=True)
"""


def opened(root: Path, cache: Path, **more: Callable[[int, int], None]) -> Store:
    return open_split(root, features="events", split="train", cache=cache, **more)


def builder(root: Path, cache: Path, *, pause_s: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BUILDER, str(root), str(cache), str(pause_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4])


def must_not_build(done: int, games: int) -> None:
    raise AssertionError("the store was built again")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_store_holds_every_half_as_it_is_on_disk(dtype: type, write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 2}, dtype=dtype)
    store = opened(root, tmp_path / "cache")
    assert store.features.dtype == dtype and store.dims == 4
    assert [half.first_frame for half in store.halves] == [0, 300, 600, 900]
    for half in store.halves:
        rows = store.features[half.first_frame : half.first_frame + half.frames]
        assert np.array_equal(rows, np.load(root / half.game / f"{half.number}_EVENTS.npy"))


def test_actions_and_distances_lie_in_their_halves(write_dataset: Write, tmp_path: Path) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 2}), tmp_path / "cache")
    assert store.actions.tolist() == [
        [0, 20, 0, 1], [0, 60, 1, 1], [1, 120, 2, 0], [2, 20, 0, 1], [2, 60, 1, 1], [3, 120, 2, 0],
    ]  # fmt: skip
    assert store.past[19:22, 0].tolist() == [NO_PAST, 0, 1]
    assert store.future[18:21, 0].tolist() == [-2, -1, NO_FUTURE]
    assert (store.past[300:600, :2] == NO_PAST).all()
    assert not store.actions.flags.writeable and not store.features.flags.writeable


def test_two_annotations_of_a_class_in_one_frame_are_one_visible_action(
    write_dataset: Write, tmp_path: Path
) -> None:
    card = {"gameTime": "1 - 00:10", "label": "y-card"}
    root = write_dataset(
        tmp_path / "data", {"train": 1}, annotations=[{**card, "visibility": "not shown"}, card]
    )
    assert opened(root, tmp_path / "cache").actions.tolist() == [[0, 20, 1, 1]]


def test_an_action_just_past_the_end_lies_on_the_last_frame(write_dataset: Write, tmp_path: Path) -> None:
    late = {"gameTime": "1 - 03:00", "label": "y-card"}
    root = write_dataset(tmp_path / "data", {"train": 1}, annotations=[late])
    assert opened(root, tmp_path / "cache").actions.tolist() == [[0, 299, 1, 1]]


def test_the_second_opening_reads_no_features(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 3})
    first = opened(root, tmp_path / "cache")
    second = opened(root, tmp_path / "cache", progress=must_not_build)
    assert second.digest == first.digest and second.path == first.path


def test_a_trial_opens_a_store_by_its_path(write_dataset: Write, tmp_path: Path) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 1}), tmp_path / "cache")
    again = open_store(store.path)
    assert (again.digest, again.halves, again.split) == (store.digest, store.halves, "train")
    with pytest.raises(DataError, match="is not there"):
        open_store(tmp_path / "elsewhere")


def test_files_of_equal_size_and_time_in_another_folder_are_other_files(
    write_dataset: Write, tmp_path: Path
) -> None:
    one, two = (write_dataset(tmp_path / name, {"train": 1}) for name in ("one", "two"))
    features = np.load(two / "league/train/game-0/1_EVENTS.npy")
    np.save(two / "league/train/game-0/1_EVENTS.npy", features + 1)
    for file in (*one.rglob("*.*"), *two.rglob("*.*")):
        os.utime(file, ns=(10**9, 10**9))
    assert opened(one, tmp_path / "cache").digest != opened(two, tmp_path / "cache").digest


def test_files_of_equal_size_and_time_that_replace_others_are_read(
    write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "data", {"train": 1})
    file = root / "league/train/game-0/1_EVENTS.npy"
    before, times = opened(root, tmp_path / "cache").digest, file.stat()
    np.save(file, np.load(file) + 1)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert opened(root, tmp_path / "cache").digest != before


def test_files_that_were_only_touched_give_the_same_store(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 1})
    before = opened(root, tmp_path / "cache")
    file = root / "league/train/game-0/1_EVENTS.npy"
    file.chmod(0o600)
    after = opened(root, tmp_path / "cache")
    assert (after.path, after.digest) == (before.path, before.digest)


def test_a_store_that_may_not_be_read_is_not_called_damaged(
    write_dataset: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 1}), tmp_path / "cache")

    def refuse(*words: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "features.npy")

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
        open_store(store.path)
    assert "delete" not in caught.value.details["fix"]


def test_progress_counts_the_games(write_dataset: Write, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    root = write_dataset(tmp_path / "data", {"train": 3})
    opened(root, tmp_path / "cache", progress=lambda done, games: seen.append((done, games)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_digest_depends_on_the_content_and_not_on_place_or_time(
    write_dataset: Write, tmp_path: Path
) -> None:
    one, two = (write_dataset(tmp_path / name, {"train": 2}) for name in ("one", "two"))
    digests = [opened(root, tmp_path / "cache").digest for root in (one, two)]
    assert digests[0] == digests[1]
    assert len(list((tmp_path / "cache").glob("*/meta.json"))) == 1
    file = two / "league" / "train" / "game-1" / "2_EVENTS.npy"
    features = np.load(file)
    features[7, 1] += 1
    np.save(file, features)
    assert opened(two, tmp_path / "cache").digest != digests[0]


def test_the_order_of_the_games_changes_the_digest(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 2})
    before = opened(root, tmp_path / "cache").digest
    description = builtin_description("wyscout")
    write_split(root, description, "train", reversed(games_of_split(root, description, "train")))
    assert opened(root, tmp_path / "cache").digest != before


def test_the_first_games_are_a_view_with_a_digest_of_its_own(write_dataset: Write, tmp_path: Path) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 3}), tmp_path / "cache")
    two = store.first_games(2)
    assert (len(two.halves), len(two.features), len(two.actions)) == (4, 1200, 6)
    assert np.shares_memory(two.features, store.features)
    assert two.digest != store.digest and store.first_games(3) is store
    for count in (0, 4):
        with pytest.raises(DataError, match="3 games"):
            store.first_games(count)


def test_one_game_is_a_view_of_its_halves_and_actions(write_dataset: Write, tmp_path: Path) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 3}), tmp_path / "cache")
    game = store.one_game(store.games[1])
    assert game.games == (store.games[1],) and [half.number for half in game.halves] == [1, 2]
    mine = store.actions[(store.actions[:, 0] == 2) | (store.actions[:, 0] == 3)]
    assert game.actions[:, 0].tolist() == (mine[:, 0] - 2).tolist()
    assert game.actions[:, 1:].tolist() == mine[:, 1:].tolist()
    first = store.halves[2].first_frame
    np.testing.assert_array_equal(game.features, store.features[first : first + len(game.features)])
    assert game.halves[1].first_frame + game.halves[1].frames == len(game.features) == len(game.past)
    assert np.shares_memory(game.features, store.features) and game.digest != store.digest
    with pytest.raises(DataError, match="no game 'other'"):
        store.one_game("other")


def test_released_pages_are_read_again_when_touched(write_dataset: Write, tmp_path: Path) -> None:
    store = opened(write_dataset(tmp_path / "data", {"train": 2}), tmp_path / "cache")
    before = store.features.sum()
    store.release()
    store.first_games(1).release()
    assert store.features.sum() == before


def test_all_games_with_bad_values_are_reported_and_nothing_is_kept(
    write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "data", {"train": 3})
    for number, value in ((0, np.nan), (2, -np.inf)):
        file = root / "league" / "train" / f"game-{number}" / "2_EVENTS.npy"
        features = np.load(file)
        features[17, 2] = value
        np.save(file, features)
    with pytest.raises(DataError) as caught:
        opened(root, tmp_path / "cache")
    assert [problem.place for problem in caught.value.problems] == ["frame 17", "frame 17"]
    assert f"list all problems with: hpo data check {root}" in str(caught.value.details["fix"])
    assert not list((tmp_path / "cache").glob("*/*.npy"))
    assert not [entry for entry in (tmp_path / "cache" / "building").iterdir() if entry.is_dir()]


def test_missing_files_and_bad_labels_are_reported_before_anything_is_written(
    write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "data", {"train": 2})
    (root / "league" / "train" / "game-0" / "1_EVENTS.npy").unlink()
    (root / "league" / "train" / "game-1" / "Labels.json").write_text("{")
    with pytest.raises(DataError) as caught:
        opened(root, tmp_path / "cache", progress=must_not_build)
    assert len(caught.value.problems) == 2


def test_too_little_space_is_reported_before_building(
    write_dataset: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_dataset(tmp_path / "data", {"train": 1})
    usage = cache_module.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"only 0\.0 GB are free"):
        opened(root, tmp_path / "cache", progress=must_not_build)


def test_a_store_with_a_part_removed_is_built_again(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 1})
    store = opened(root, tmp_path / "cache")
    (store.path / "meta.json").unlink()
    assert opened(root, tmp_path / "cache").digest == store.digest


def test_two_processes_that_want_a_store_at_once_build_it_once(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 4})
    processes = [builder(root, tmp_path / "cache", pause_s=0.2) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(len(lines) for lines in outputs) == [1, 5]
    assert outputs[0][-1] == outputs[1][-1]


def test_a_kill_in_the_middle_leaves_nothing_that_is_taken_for_a_store(
    write_dataset: Write, tmp_path: Path
) -> None:
    root, cache = write_dataset(tmp_path / "data", {"train": 4}), tmp_path / "cache"
    process = builder(root, cache, pause_s=60.0)
    assert process.stdout is not None and process.stdout.readline() == "built 1\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    left = [entry for entry in (cache / "building").iterdir() if entry.is_dir()]
    assert left and not list(cache.glob("*/meta.json")) and not list((cache / "index").iterdir())
    assert len(opened(root, cache).halves) == 8
    assert not [entry for entry in (cache / "building").iterdir() if entry.is_dir()]


def test_what_a_killed_process_left_of_other_data_is_swept_up(write_dataset: Write, tmp_path: Path) -> None:
    abandoned = tmp_path / "cache" / "building" / "0123"
    abandoned.mkdir(parents=True)
    (abandoned / "features.npy").write_bytes(b"half")
    opened(write_dataset(tmp_path / "data", {"train": 1}), tmp_path / "cache")
    assert not abandoned.exists()


def test_a_large_store_opens_in_milliseconds(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"train": 100})
    store = opened(root, tmp_path / "cache")
    durations = []
    for _ in range(5):
        started = time.perf_counter()
        open_store(store.path)
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.05
