"""A trained network at work on a new video: features by the recipe of its training, and no others."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from generated_video import own_network, steady, write_video
from typer.testing import CliRunner, Result

from hpo.cli.main import app
from model.encoding import Zones
from model.errors import ConfigError, UserError
from model.features.extraction import recipe_of
from model.features.networks import load_network
from model.features.pca import Pca
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork

RATE = Fraction(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two and a half minutes, a network for its features, and one for its actions."""
    folder = tmp_path_factory.mktemp("work")
    write_video(folder / "match.mp4", steady(750, RATE), rate=RATE)
    network = load_network(str(own_network(folder / "own.pt")), None, torch.device("cpu"))
    config = NetworkConfig(input_size=48, classes=1, class_features=4, receptive_field_frames=20)
    TrainedNetwork(
        network=CalfNetwork(config, torch.Generator().manual_seed(1)),
        classes=("goal",),
        frame_rate=FrameRate(2.0),
        zones=Zones(((-20.0, -10.0, 10.0, 20.0),)),
        stem="OWN",
        recipe=recipe_of(network, 2.0),
    ).save(folder / "best.pt")
    return folder


def hpo(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words), "--device", "cpu"])


def spot(folder: Path, *words: object, weights: str = "best.pt") -> Result:
    video = ("--video", folder / "match.mp4", "--to", folder / "spots")
    return hpo("spot", "--weights", folder / weights, *video, *words)


def test_video_is_spotted_by_the_recipe_of_the_training(folder: Path) -> None:
    answer = spot(folder, "--model-weights", folder / "own.pt")
    assert answer.exit_code == 0, answer.output
    spots = json.loads((folder / "spots/match/results_spotting.json").read_text())["predictions"]
    assert spots and {spot["half"] for spot in spots} == {"1"}
    # The same features as those of a data folder give the same spots.
    data = folder / "data"
    extracted = hpo(
        "data", "extract", "--video", folder / "match.mp4", "--to", data, "--model", folder / "own.pt"
    )
    assert extracted.exit_code == 0 and "features OWN of 1 video in" in extracted.output
    assert f"next: hpo data labels --from FILE --to {data}" in extracted.output
    features = [each / "match/1_OWN.npy" for each in (folder / "spots", data)]
    assert features[0].read_bytes() == features[1].read_bytes()


def test_spots_of_a_video_beside_a_data_set_are_those_of_the_video(folder: Path) -> None:
    (folder / "dataset.toml").write_text(
        'name = "mine"\nparts = 2\nlabels_file = "L.json"\nclasses.goal = ["goal"]\nfeatures.own = "OWN"\n'
        "frame_rate = 5\n"
    )
    answer = spot(folder, "--model-weights", folder / "own.pt")
    (folder / "dataset.toml").unlink()
    assert answer.exit_code == 0, answer.output
    assert f"in {folder / 'spots/match/results_spotting.json'} (the game has half 1)" in answer.output


def test_short_videos_do_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    short = [write_video(tmp_path / f"{name}.mp4", steady(2, RATE), rate=RATE) for name in ("a", "c")]
    videos = (short[0], folder / "match.mp4", short[1])
    words = [word for video in videos for word in ("--video", video)]
    network = ("--weights", folder / "best.pt", "--model-weights", folder / "own.pt")
    answer = hpo("spot", *network, *words, "--to", folder / "spots")
    message = refused(answer)
    assert f"in {folder / 'spots/match/results_spotting.json'}" in answer.output
    assert "2 games cannot be spotted" in message and "a: no spot found: the game has 1 frame (" in message
    message = refused(hpo("spot", *network, *words[:4], "--to", folder / "spots"))
    assert f"folder: {folder / 'spots' / 'a'}" in message and "give a game of at least" in message


def film(folder: Path, *words: object) -> Result:
    network = ("--weights", folder / "best.pt", "--model-weights", folder / "own.pt")
    few = ("--confidence", 0.9, "--threshold", 0.9, "--before", 2, "--after", 2)
    return hpo("highlights", *network, *few, *words)


def test_highlights_come_from_the_video_alone(folder: Path) -> None:
    answer = film(folder, "--video-1", folder / "match.mp4", "--to", folder / "film")
    assert answer.exit_code == 0, answer.output
    assert (folder / "film" / "highlights.mp4").stat().st_size > 1000


def test_highlights_of_a_second_half_come_from_its_video_alone(folder: Path) -> None:
    answer = film(folder, "--video-2", folder / "match.mp4", "--copy", "--to", folder / "second")
    assert answer.exit_code == 0, answer.output
    clips = json.loads((folder / "second" / "highlights.json").read_text())["clips"]
    assert {clip["half"] for clip in clips} == {2} and (folder / "second" / "highlights.mp4").is_file()
    assert (folder / "second" / "match" / "2_OWN.npy").is_file()


def refused(answer: Result) -> str:
    assert isinstance(answer.exception, UserError), answer.output
    return str(answer.exception)


def test_variable_frame_rate_is_refused_before_features_are_extracted(folder: Path) -> None:
    times = [*steady(10, RATE), *steady(10, Fraction(8), start_s=Fraction(2))]
    phone = write_video(folder / "phone.mp4", times)
    words = ("--video-1", phone, "--to", folder / "phones")
    assert "has a variable or unusual frame rate" in refused(film(folder, *words))
    assert not list(folder.glob("phones/*"))


def test_videos_that_cannot_be_copied_are_refused_before_their_features_are_extracted(folder: Path) -> None:
    other = write_video(folder / "other.mp4", steady(10, RATE), rate=RATE, codec="mpeg4")
    words = ("--video-1", folder / "match.mp4", "--video-2", other, "--copy", "--to", folder / "copied")
    assert "cannot be copied into one: h264 " in refused(film(folder, *words))
    assert not list(folder.glob("copied/*"))


def test_another_network_or_no_network_is_refused(folder: Path) -> None:
    assert "--model-weights FILE" in refused(spot(folder))
    message = refused(spot(folder, "--model-weights", own_network(folder / "other.pt", scale=2.0)))
    assert "another recipe than those of the training; weights: expected" in message


def test_recipe_with_a_pca_asks_for_its_file(folder: Path) -> None:
    trained = TrainedNetwork.load(folder / "best.pt")
    assert trained.recipe is not None
    replace(trained, recipe=replace(trained.recipe, pca="0" * 64)).save(folder / "short.pt")
    assert "--pca FILE: OWN.npz" in refused(spot(folder, weights="short.pt"))
    replace(trained, recipe=None).save(folder / "unknown.pt")
    assert "does not say how its features" in refused(spot(folder, weights="unknown.pt"))


def test_length_of_the_pca_is_not_contradicted(folder: Path) -> None:
    Pca(np.zeros(48, dtype=np.float32), np.eye(3, 48, dtype=np.float32)).save(folder / "three.npz")
    words = ("data", "extract", "--video", folder / "match.mp4", "--to", folder / "no", "--dims", 4)
    assert "--pca gives 3 values" in refused(hpo(*words, "--pca", folder / "three.npz"))


def test_pca_without_a_training_game_is_refused_before_anything_is_written(
    folder: Path, tmp_path: Path
) -> None:
    words = ("data", "extract", "--video", folder / "match.mp4", "--dims", 4, "--to", tmp_path / "to")
    assert "fitted on the training split, but no game" in refused(hpo(*words, "--model", folder / "own.pt"))
    assert not (tmp_path / "to").exists()


def test_all_videos_that_cannot_be_opened_are_told_before_anything_is_written(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    (tmp_path / "b.mp4").touch()
    lines = ["game,part,video,split", f"good,1,{folder / 'match.mp4'},train", "a,1,a.mp4,train", "b,1,b.mp4,"]
    (tmp_path / "games.csv").write_text("\n".join(lines))
    words = ("data", "extract", "--games", tmp_path / "games.csv", "--to", tmp_path / "to")
    message = refused(hpo(*words, "--model", folder / "own.pt"))
    assert "2 videos cannot be used" in message and "a.mp4: this file" in message and "b.mp4: " in message
    assert not (tmp_path / "to").exists()


def test_extraction_into_a_folder_with_both_labels_of_soccernet_says_which_it_declares(
    folder: Path, tmp_path: Path
) -> None:
    game = tmp_path / "league" / "season" / "game"
    game.mkdir(parents=True)
    for name in ("Labels.json", "Labels-v2.json"):
        (game / name).write_text("{}")
    words = ("data", "extract", "--video", folder / "none.mp4", "--to", tmp_path)
    answer = hpo(*words, "--model", folder / "own.pt")
    assert "does not exist" in refused(answer)
    assert "note: games have labels of both versions: dataset.toml says that Labels.json" in answer.output


def test_either_game_or_video_is_expected(folder: Path) -> None:
    answer = hpo("spot", "--weights", folder / "best.pt")
    assert isinstance(answer.exception, ConfigError) and "--video FILE" in str(answer.exception)
    game = ("spot", "--weights", folder / "best.pt", "--game", folder)
    for option in ("--pca", "--model-weights"):
        assert f"expected {option} only for features of videos, got --game" in refused(
            hpo(*game, option, folder / "f")
        )


def test_features_of_another_recipe_are_not_spotted(folder: Path) -> None:
    trained = TrainedNetwork.load(folder / "best.pt")
    assert trained.recipe is not None
    with pytest.raises(ConfigError, match=r"another recipe .*; weights: expected 1{12}\.\.\., got "):
        replace(trained, recipe=replace(trained.recipe, weights="1" * 64)).check_recipe(trained.recipe)
    trained.check_recipe(None)


def test_missing_extra_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    message = refused(spot(folder, "--model-weights", folder / "own.pt", "--to", folder / "new"))
    assert message.endswith("pip install 'hpo[features]'") and "\n" not in message
