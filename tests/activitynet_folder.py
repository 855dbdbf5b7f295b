"""A small data folder of ActivityNet, and ways to spoil it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS
from model.data.activitynet.features import feature_file, write_features
from model.errors import Problem

POSITIONS, DIMS = 20, 8
TRAINING = [f"v_video{index:02d}" for index in range(8)]
VALIDATION = [f"v_video{index:02d}" for index in range(8, 12)]


def write_folder(folder: Path) -> Path:
    """Eight training and four validation videos of 60 s, each with one activity."""
    entries = {
        name: {
            "duration_second": 60.0,
            "duration_frame": 1800,
            "feature_frame": 1792,
            "annotations": [{"segment": [10.0, 30.0], "label": "Surfing"}],
        }
        for name in [*TRAINING, *VALIDATION]
    }
    folder.mkdir(parents=True)
    (folder / ANNOTATIONS).write_text(json.dumps(entries))
    lines = [f"{name},60,training" for name in TRAINING] + [f"{name},60,validation" for name in VALIDATION]
    (folder / VIDEOS).write_text("\n".join(["video,seconds,subset", *lines, ""]))
    for index, name in enumerate(entries):
        write_numbers(folder, name, np.full((POSITIONS, DIMS), index))
    return folder


def write_numbers(folder: Path, name: str, values: Any, positions: int = POSITIONS) -> None:
    file = feature_file(folder, name, positions)
    file.parent.mkdir(exist_ok=True)
    write_features(file, np.asarray(values, dtype=np.float32))


def change_entries(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    entries = json.loads((folder / ANNOTATIONS).read_text())
    change(entries)
    (folder / ANNOTATIONS).write_text(json.dumps(entries))


def change_list(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = (folder / VIDEOS).read_text().splitlines()
    (folder / VIDEOS).write_text("\n".join([*change(lines), ""]))


def change_features(folder: Path, name: str, change: Callable[[list[str]], list[str]]) -> None:
    file = feature_file(folder, name, POSITIONS)
    file.write_text("\n".join([*change(file.read_text().splitlines()), ""]))


def told(problems: tuple[Problem, ...] | list[Problem], folder: Path) -> list[str]:
    """Problems without the path of the folder."""
    return [str(problem).replace(f"{folder}/", "").replace(str(folder), "") for problem in problems]


def remove(folder: Path, *videos: str) -> None:
    """Delete the features of videos."""
    for name in videos:
        feature_file(folder, name, POSITIONS).unlink()
