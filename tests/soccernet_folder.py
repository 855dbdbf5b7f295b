"""Small folders in SoccerNet's layout, written for a test."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.data.checks.check import CheckReport
from model.data.layout.description import builtin_description
from model.data.stores.building import open_split
from model.data.stores.store import Store

V2 = builtin_description("soccernet-v2")
V1_LABELS = ("soccer-ball", "y-card", "subs")
SPLITS = ("train", "valid", "test")
_halves = itertools.count()


def note(half: int, second: float, label: str, **more: object) -> dict[str, Any]:
    clock = f"{half} - {int(second) // 60:02d}:{int(second) % 60:02d}"
    return {"gameTime": clock, "label": label, "position": str(int(1000 * second)), **more}


def v2_notes(*, halves: Sequence[int] = (1, 2), last_s: float = 2640.0) -> list[dict[str, Any]]:
    """All 17 classes in every half, the last action at ``last_s``."""
    return [
        note(half, last_s * (index + 1) / 17, label)
        for half in halves
        for index, label in enumerate(V2.label_texts)
    ]


def v1_notes() -> list[dict[str, Any]]:
    return [note(half, 30 + 20 * index, label) for half in (1, 2) for index, label in enumerate(V1_LABELS)]


def write_game(
    root: Path,
    game: str,
    notes: Sequence[object],
    features: Mapping[str, np.ndarray],
    labels_file: str = "Labels-v2.json",
) -> Path:
    folder = root / game
    folder.mkdir(parents=True, exist_ok=True)
    (folder / labels_file).write_text(json.dumps({"annotations": list(notes)}))
    for name, array in features.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_splits(root: Path, write: Callable[[str], object]) -> Path:
    """One game a split."""
    for split in SPLITS:
        write(f"l/s/{split}")
        (root / f"{split}.txt").write_text(f"l/s/{split}\n")
    return root


def halves(stem: str, frames: int, numbers: Sequence[int] = (1, 2)) -> dict[str, np.ndarray]:
    return {f"{number}_{stem}": frames_of_its_own(frames) for number in numbers}


def frames_of_its_own(frames: int, dims: int = 3) -> np.ndarray:
    """Features that no other half has."""
    return np.full((frames, dims), next(_halves), np.float32) + np.arange(dims, dtype=np.float32)


def problems(report: CheckReport) -> list[str]:
    return [str(problem) for problem in report.problems]


def opened(root: Path, split: str = "train", **options: Any) -> Store:
    return open_split(root, split=split, cache=root.parent / "cache", **{"features": "resnet", **options})
