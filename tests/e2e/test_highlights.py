"""Highlights, opportunities and their precision through the command line."""

import csv
import json
from pathlib import Path

import barcode_video
import numpy as np
import pytest
from barcode_video import FRAME_RATE
from e2e.command_line import CommandLine

from hpo.spotting.video import find_ffmpeg
from model.data.layout.game_files import write_game


@pytest.fixture
def game(tmp_path: Path) -> Path:
    """Two halves of three minutes in which anything may happen, and one goal in the first."""
    random = np.random.default_rng(5)
    halves = [5 * random.normal(size=(360, 16)).astype(np.float32) for _ in range(2)]
    goal = {"gameTime": "1 - 01:00", "label": "soccer-ball"}
    write_game(
        tmp_path,
        "league/season/home - away",
        stem="NOISE",
        halves=halves,
        annotations=[goal],
        labels_file="Labels.json",
    )
    return tmp_path / "league/season/home - away"


def test_film_shows_what_the_lists_say(hpo: CommandLine, weights: Path, game: Path) -> None:
    ffmpeg = find_ffmpeg()
    for half in (0, 1):
        barcode_video.write_video(
            ffmpeg, hpo.folder / f"{half + 1}.mkv", seconds=180, first_number=half * 32768, key_frames=250
        )
    words = ("highlights", "--weights", str(weights), "--game", str(game), "--to", "out")
    options = ("--confidence", "0.6", "--threshold", "0.85", "--before", "2", "--after", "3")
    answer = hpo.run(*words, *options, "--video-1", "1.mkv", "--video-2", "2.mkv")
    assert answer.returncode == 0, answer.stderr
    out = hpo.folder / "out"
    clips = json.loads((out / "highlights.json").read_text())["clips"]
    assert {clip["half"] for clip in clips} == {1, 2}
    shown = barcode_video.shown(ffmpeg, out / "highlights.mp4")
    assert len(shown) == len(clips)
    for (first, last), clip in zip(shown, clips, strict=True):
        half = (clip["half"] - 1) * 32768
        assert abs(first - half - FRAME_RATE * clip["start_s"]) <= 1
        assert abs(last + 1 - half - FRAME_RATE * clip["stop_s"]) <= 1


def test_opportunities_are_reviewed(hpo: CommandLine, weights: Path, game: Path) -> None:
    words = ("highlights", "--weights", str(weights), "--game", str(game), "--to", "out", "--opportunities")
    answer = hpo.run(*words, "--threshold", "0.8", "--before", "2", "--after", "3")
    assert answer.returncode == 0, answer.stderr
    file = hpo.folder / "out" / "opportunities.csv"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows and all(0.8 <= float(row["peak_score"]) <= 1 for row in rows)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *(f"{line[:-1]}yes,yes" for line in lines[1:])]))
    answer = hpo.run("precision", str(file), "--to", "curve")
    assert answer.returncode == 0, answer.stderr
    assert (hpo.folder / "curve" / "precision.png").read_bytes().startswith(b"\x89PNG")
