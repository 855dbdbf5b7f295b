"""Time and memory at 2 and at 25 feature vectors per second, side by side.

    python benchmarks/frame_rates.py --work DIR

For each rate, writes four games of 2 x 45 minutes into DIR: 512 float16 values per frame, and actions of 12
classes about every 5 s, as in ball action spotting. Then runs, each as a process of its own: ``hpo data
check``, the copy into an empty cache, and one epoch of one trial with its validation. Prints seconds, seconds
of the processor (which other work hardly changes), and the peak of the resident memory of each process, which
includes the pages of mapped files that it touched. Deletes the games. ``--sampler paper`` trains on all
chunks of the paper's sampler, about 2,300, which takes several minutes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from model.data.layout.description import DatasetDescription, write_description
from model.data.layout.game_files import HALVES, write_game
from model.data.layout.split_lists import write_split
from model.timeline import FrameRate, format_game_time

RATES = (2.0, 25.0)
GAMES = {"train": 2, "valid": 1, "test": 1}
HALF_S, DIMS, ACTION_EVERY_S = 45 * 60, 512, 5.0
CLASSES = tuple(f"action-{number:02d}" for number in range(12))
STEM = "BALL"
STEPS = ("write", "check", "cache", "train")


def write(root: Path, rate: FrameRate) -> None:
    """Write noise as features, and actions at random times."""
    description = DatasetDescription(
        name="ball",
        frame_rate=rate,
        labels_file="Labels-ball.json",
        classes=CLASSES,
        patterns={name: (name,) for name in CLASSES},
        ignored=(),
        features={"ball": STEM},
        splits={split: f"{split}.txt" for split in ("train", "valid", "test")},
    )
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    frames = rate.to_frames(HALF_S)
    for split, count in GAMES.items():
        names = [f"league/season/{split}-{number}" for number in range(count)]
        for name in names:
            noise = random.standard_normal((frames, DIMS), dtype=np.float32).astype(np.float16)
            write_game(
                root,
                name,
                stem=STEM,
                halves=[noise, noise[::-1]],
                annotations=[action for half in HALVES for action in _actions(half, random)],
                labels_file=description.labels_file,
            )
        write_split(root, description, split, names)
    write_description(root, description)


def _actions(half: int, random: np.random.Generator) -> list[dict[str, str]]:
    times = np.sort(random.uniform(0.0, HALF_S - 1.0, round(HALF_S / ACTION_EVERY_S)))
    return [
        {
            "gameTime": format_game_time(half, time_s),
            "label": CLASSES[int(random.integers(len(CLASSES)))],
            "position": str(round(1000 * time_s)),
            "visibility": "visible",
        }
        for time_s in times
    ]


def cache(root: Path, folder: Path) -> None:
    """Copy both splits into an empty cache."""
    from model.data.stores.building import open_split

    for split in ("train", "valid"):
        open_split(root, features="ball", split=split, cache=folder)


def train(root: Path, folder: Path, sampler: str, chunks: int) -> None:
    """Train one epoch of the paper's configuration on the copy, and validate."""
    import torch

    from hpo.config.study_file import validate_study
    from hpo.tasks.calf.settings import training_config, trial_config
    from hpo.tasks.calf.study_file import CalfStudy
    from hpo.tasks.calf.task import TASK
    from model.data.stores.building import open_split
    from model.training.outcomes import Validation
    from model.training.slot import Slot

    amount = {"chunks_per_epoch": chunks} if sampler == "balanced" else {}
    document = {
        "task": "calf",
        "network": {"predictions": 15},
        "training": {"epochs": 1, "sampler": sampler, **amount},
        "zones_s": {"default": [-10, -5, 5, 10]},
        "stages": {"bayes": {"trials": 1, "space": {"r_s": {"type": "float", "low": 10.0, "high": 80.0}}}},
    }
    study = validate_study(CalfStudy, document, file="benchmark")
    stores = [open_split(root, features="ball", split=split, cache=folder) for split in ("train", "valid")]
    shape = TASK.shape(stores[0])
    array = TASK.array(
        training_config(study, shape, precision="float32"),
        train=stores[0],
        valid=stores[1],
        device=torch.device("cpu"),
        on_note=print,
    )
    array.slots = [Slot(trial_config(study, {}, shape, seed=0))]
    (outcome,) = array.advance()
    if not isinstance(outcome.result, Validation):
        raise outcome.result
    print(json.dumps({"chunks_per_s": outcome.result.metrics["chunks_per_s"]}))


def measured(words: list[str], environment: dict[str, str]) -> tuple[float, float, float, str]:
    """Run a command; return its seconds, processor seconds, peak of memory in GB and last line."""
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with exit code {process.returncode}")
    seconds, lines = time.perf_counter() - started, output.strip().splitlines()
    cpu_s = usage.ru_utime + usage.ru_stime
    return seconds, cpu_s, usage.ru_maxrss / 2**20, lines[-1] if lines else ""


def main() -> None:
    """Run the benchmark, or one of its steps in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sampler", choices=("balanced", "paper"), default="balanced")
    parser.add_argument("--chunks", type=int, default=128, help="Chunks per epoch of the balanced sampler.")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        root = options.work / f"rate-{options.rate:g}"
        match options.step:
            case "write":
                write(root, FrameRate(options.rate))
            case "cache":
                cache(root, root / "cache")
            case "train":
                train(root, root / "cache", options.sampler, options.chunks)
        return
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    print("rate  step   seconds  processor   memory", flush=True)
    for rate in RATES:
        root = options.work / f"rate-{rate:g}"
        shutil.rmtree(root, ignore_errors=True)
        for step in STEPS:
            words = [sys.executable, str(here), *sys.argv[1:], "--step", step, "--rate", str(rate)]
            if step == "check":
                words = [sys.executable, "-m", "hpo", "data", "check", str(root)]
            seconds, cpu_s, memory_gb, line = measured(words, environment)
            note = f"  {json.loads(line)['chunks_per_s']:.1f} chunks/s" if step == "train" else ""
            print(
                f"{rate:>4g}  {step:<5}  {seconds:>5.1f} s  {cpu_s:>7.1f} s  {memory_gb:>4.2f} GB{note}",
                flush=True,
            )
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
