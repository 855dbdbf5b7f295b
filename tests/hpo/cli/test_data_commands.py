import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hpo.cli.data import app
from model.data.activitynet.annotations import read_videos
from model.data.activitynet.features import feature_file
from model.data.activitynet.synthetic import make_videos, write_annotations
from model.data.activitynet.video_store import build_splits, open_video_split
from model.errors import ConfigError, DataError

SMALL = ["--videos", "3,2", "--positions", "20", "--dims", "8"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    result = CliRunner().invoke(
        app, ["synthetic", "--to", str(folder), "--games", "1,1,1", "--minutes", "15"]
    )
    assert result.exit_code == 0 and "goal = [-20.0, -10.0, 60.0, 90.0]" in result.stdout
    return folder


def test_check_shows_the_counts_of_a_sound_data_set(root: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.split()}
    assert rows["games"] == ["1", "1", "1"]
    assert rows["frames"] == ["3,600"] * 3
    assert result.stdout.rstrip().endswith("no problems")


def test_check_lists_every_problem_and_ends_in_an_error(root: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(root), "--features", "resnet"])
    assert isinstance(result.exception, DataError)
    missing = [line for line in result.stdout.splitlines() if "resnet.npy: missing" in line]
    assert len(missing) == 3 and f"3 problems in {root}" in str(result.exception)


def test_check_of_videos_takes_no_numbers_of_games(root: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(root), "--video", "a.mkv", "--games", "3,2"])
    assert isinstance(result.exception, ConfigError)
    assert "--games has no meaning with --video" in str(result.exception)


@pytest.mark.parametrize("games", ["3", "1,2", "a,b,c", "1,1,-1"])
def test_synthetic_wants_three_numbers_of_games(games: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synthetic", "--to", str(tmp_path), "--games", games])
    assert isinstance(result.exception, ConfigError)
    assert f"expected --games TRAIN,VALID,TEST such as 60,20,20, got {games!r}" in str(result.exception)


@pytest.mark.parametrize("games", ["0,0,0", "0,4,2", "8,00,4"])
def test_synthetic_wants_games_to_train_and_to_validate_on(games: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synthetic", "--to", str(tmp_path / "to"), "--games", games])
    assert isinstance(result.exception, ConfigError)
    assert "expected at least one training and one validation game" in str(result.exception)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("words", [["synthetic"], ["wyscout", "--from", "."]])
def test_generated_data_take_no_seed_below_zero(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*words, "--to", str(tmp_path / "to"), "--seed", "-1"])
    assert result.exit_code == 2 and not (tmp_path / "to").exists()


def test_wyscout_without_its_files_is_an_error_for_the_user(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["wyscout", "--from", str(tmp_path), "--to", str(tmp_path / "to")])
    assert isinstance(result.exception, DataError)


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    write_annotations(
        tmp_path / "annotations",
        make_videos({"training": 30, "validation": 4, "testing": 2}, classes=3, seed=1),
    )
    return tmp_path / "annotations"


def activitynet(annotations: Path, to: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["activitynet", str(annotations), str(to), *SMALL, *options])


def test_activitynet_makes_what_a_study_reads_and_says_how_to_go_on(annotations: Path) -> None:
    to, cache = annotations.parent / "to make", annotations.parent / "cache"
    result = activitynet(annotations, to)
    assert result.exit_code == 0, result.output
    # The installed study file is for 100 positions a video.
    *_, setting, following = result.stdout.splitlines()
    assert "set positions = 20 under [network]" in setting
    assert following == f"next: hpo run bmn-slicing --data '{to}' --study-file FILE"
    source = {video.name: video for video in read_videos(annotations)}
    for subset, count in (("training", 3), ("validation", 2)):
        split = open_video_split(build_splits(to, {subset: None}, cache, positions=20)[subset].path)
        assert [video.name for video in split.videos] == [
            name for name, video in source.items() if video.subset == subset
        ][:count]
        assert all(video.labels == source[video.name].labels for video in split.videos)
        assert split.features.shape == (count, 20, 8) and split.features.std() > 0.5
        assert (split.class_scores is not None) == (subset == "validation")


def test_activitynet_makes_no_features_that_the_network_refuses(annotations: Path) -> None:
    to = annotations.parent / "to"
    result = activitynet(annotations, to, "--dims", "18")
    assert isinstance(result.exception, ConfigError)
    assert "expected --dims as a multiple of 4, which the network needs, got 18" in str(result.exception)
    assert not to.exists()


def test_activitynet_again_keeps_what_is_there_and_makes_what_is_missing(annotations: Path) -> None:
    to = annotations.parent / "to"
    activitynet(annotations, to)
    first, second = (feature_file(to, f"v_training_0000{index}", 20) for index in (0, 1))
    made, kept_at = first.read_bytes(), second.stat().st_mtime_ns
    first.unlink()
    assert activitynet(annotations, to).exit_code == 0
    assert first.read_bytes() == made and second.stat().st_mtime_ns == kept_at


def test_activitynet_killed_in_the_middle_is_no_data_set_and_goes_on(annotations: Path) -> None:
    to = annotations.parent / "to"
    more = ["--videos", "30,4", "--positions", "100", "--dims", "400"]
    command = [sys.executable, "-m", "hpo", "data", "activitynet", str(annotations), str(to), *more]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    while not list(to.glob("csv_mean_100/v_*.csv")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=60)
    with pytest.raises(DataError, match="expected video_info_new"):
        build_splits(to, {"training": None}, annotations.parent / "cache", positions=100)
    assert activitynet(annotations, to, *more).exit_code == 0
    build_splits(to, {"training": 30}, annotations.parent / "cache", positions=100)


@pytest.mark.parametrize("option", [["--seed", "1"], ["--dims", "12"], ["--videos", "4,2"]])
def test_activitynet_does_not_mix_features_of_different_settings(
    annotations: Path, option: list[str]
) -> None:
    to = annotations.parent / "to"
    activitynet(annotations, to)
    result = activitynet(annotations, to, *option)
    assert isinstance(result.exception, DataError) and "other videos or settings" in str(result.exception)


def test_activitynet_writes_into_no_folder_of_others(annotations: Path) -> None:
    before = {file: file.read_bytes() for file in annotations.iterdir()}
    result = activitynet(annotations, annotations)
    assert isinstance(result.exception, DataError) and "expected an empty folder" in str(result.exception)
    assert {file: file.read_bytes() for file in annotations.iterdir()} == before


@pytest.mark.parametrize("videos", ["3", "1,2,3", "a,b", "1,0", "1,-1"])
def test_activitynet_wants_two_numbers_of_videos(annotations: Path, videos: str) -> None:
    result = activitynet(annotations, annotations.parent / "to", "--videos", videos)
    assert isinstance(result.exception, ConfigError)
    said = f"expected --videos TRAINING,VALIDATION such as 300,100, got {videos!r}"
    assert said in str(result.exception)


def test_activitynet_says_how_many_videos_there_are(annotations: Path) -> None:
    result = activitynet(annotations, annotations.parent / "to", "--videos", "3,5")
    assert isinstance(result.exception, DataError)
    assert "expected 5 videos of the subset 'validation', found 4" in str(result.exception)
    assert not (annotations.parent / "to").exists()
