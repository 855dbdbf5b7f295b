"""Features that are shorter or longer than their video are told, with the rate that would fit."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from generated_video import steady, write_video
from typer.testing import CliRunner

from hpo.cli.main import app
from model.errors import DataError


def folder_with(root: Path, frames: int) -> Path:
    (root / "match").mkdir(parents=True)
    np.save(root / "match" / "1_OWN.npy", np.zeros((frames, 4), dtype=np.float16))
    (root / "dataset.toml").write_text(
        'name = "x"\nlabels_file = "Labels.json"\nframe_rate = 2.0\n[classes]\ngoal = ["goal"]\n'
    )
    return root


@pytest.mark.parametrize(("frames", "agrees"), [(120, True), (118, True), (300, False)])
def test_lengths_and_rates_are_compared(tmp_path: Path, frames: int, agrees: bool) -> None:
    video = write_video(tmp_path / "match.mp4", steady(300, Fraction(5)), rate=Fraction(5))
    root = folder_with(tmp_path / "data", frames)
    answer = CliRunner().invoke(app, ["data", "check", str(root), "--video", str(video)])
    if agrees:
        assert answer.exit_code == 0, answer.output
        assert "match/1_OWN.npy: " in answer.output and "video of 1:00.0 at 5 frames" in answer.output
    else:
        assert isinstance(answer.exception, DataError)
        assert "300 frames are 2:30.0 at 2 per second; 5 per second would fit" in answer.output


def test_last_frame_of_a_low_rate_and_a_table_in_capitals_are_understood(tmp_path: Path) -> None:
    write_video(tmp_path / "match.mp4", steady(205, Fraction(5)), rate=Fraction(5))
    (tmp_path / "GAMES.CSV").write_text("game,part,video\nmatch,1,match.mp4\n")
    root = folder_with(tmp_path / "data", 5)  # of 41 s, the last at 40 s
    description = (root / "dataset.toml").read_text().replace("2.0", "0.1")
    (root / "dataset.toml").write_text(description)
    words = ["data", "check", str(root), "--video", str(tmp_path / "GAMES.CSV")]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    answer = CliRunner().invoke(app, [*words, "--features", "OTHER"])
    assert isinstance(answer.exception, DataError)
    assert f"{root / 'match/1_OTHER.npy'}: missing, beside a video of 0:41.0" in answer.output


def test_missing_features_and_videos_are_problems(tmp_path: Path) -> None:
    video = write_video(tmp_path / "other.mp4", steady(50, Fraction(5)), rate=Fraction(5))
    root = folder_with(tmp_path / "data", 20)
    words = ["data", "check", str(root), "--video", str(video), "--video", str(tmp_path / "none.mp4")]
    answer = CliRunner().invoke(app, words)
    assert isinstance(answer.exception, DataError) and "2 problems" in str(answer.exception)
    assert "no features beside" in answer.output and "does not exist" in answer.output


def test_video_that_states_no_length_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "match.mp4", steady(5, Fraction(5)), rate=Fraction(5))
    monkeypatch.setattr("model.features.decoding.Video.stated_s", Fraction(0))
    words = ["data", "check", str(folder_with(tmp_path / "data", 2)), "--video", str(video)]
    assert "the file does not say how long it is" in CliRunner().invoke(app, words).output
