"""Start-up time and memory of studies with and without arrays of trials.

    python benchmarks/arrays.py --work DIR

``hpo bench`` measures the training speed of arrays; this benchmark measures the overhead of whole studies. It
writes everything into DIR and prints one line per measurement.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hpo.journal.events import TrialFinished, TrialReported
from hpo.journal.journal import read_journal
from model.data.synthetic import write_synthetic

STUDY = """
task = "calf"
[training]
epochs = 2
validate_every = 1
sampler = "balanced"
batch_size = 8
chunks_per_epoch = 16
precision = "float32"
[stages.bayes]
trials = 1
searcher = "random"
scheduler = "none"
[stages.bayes.space]
f = { type = "int", low = 2, high = 8 }
lambda_seg = { type = "float", low = 0.1, high = 10.0, log = true }
"""


@dataclass(frozen=True)
class Cost:
    """Cost of one study."""

    seconds: float
    """Duration of the whole command."""
    trained_s: float
    """Seconds within trials: training, calibration, scoring."""
    peak_gb: float
    """Peak of the resident memory of all its processes together."""


def run_study(work: Path, name: str, *words: str) -> Cost:
    """Run a study of tiny trials and measure its time and memory."""
    data, study_file = work / "tiny", work / "tiny.toml"
    if not (data / "dataset.toml").exists():
        write_synthetic(data, games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    study_file.write_text(STUDY)
    options = ["--data", str(data), "--study", name, "--study-file", str(study_file), "--device", "cpu"]
    runs = work / f"runs-{name}"
    environment = {**os.environ, "HPO_CACHE": str(work / "cache"), "HPO_RUNS": str(runs)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo", "run", "bayes", *options, *words],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    peak: list[float] = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    if process.wait() != 0:
        raise SystemExit(f"study {name} failed")
    watcher.join()
    seconds = time.perf_counter() - started
    events = read_journal(runs / "studies" / name).events
    assert sum(isinstance(event, TrialFinished) for event in events) > 0
    last = {event.trial: event.train_s for event in events if isinstance(event, TrialReported)}
    return Cost(seconds, sum(last.values()), peak[0])


def _watch(process: "subprocess.Popen[bytes]", peak: list[float]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(_resident_gb(folder, process.pid) for folder in Path("/proc").iterdir()))
        time.sleep(0.5)


def _resident_gb(folder: Path, session: int) -> float:
    """Return the proportional memory of a process of the session, 0 for other processes."""
    if not folder.name.isdigit():
        return 0.0
    try:
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        if int(fields[3]) != session:
            return 0.0
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except (OSError, ValueError):  # it ended just now
        return 0.0
    (proportional,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(proportional) / 1e6


def start_up(work: Path) -> None:
    """Measure time and memory for 8, 32 and 128 trials."""
    for label, words in (
        ("one process a trial", ("--concurrent", "2", "--array", "1")),
        ("arrays of 2", ("--concurrent", "2", "--array", "2")),
        ("arrays of 8", ("--concurrent", "8", "--array", "8")),
    ):
        costs = {}
        for trials in (8, 32, 128):
            name = f"{label}-{trials}".replace(" ", "-")
            costs[trials] = run_study(work, name, *words, "--trials", str(trials))
            cost = costs[trials]
            print(
                f"{label}, {trials} trials: {cost.seconds:.0f} s, of these in trials {cost.trained_s:.0f} s, "
                f"peak memory {cost.peak_gb:.2f} GB",
                flush=True,
            )
        more, fewer = costs[128], costs[32]
        overhead = (more.seconds - fewer.seconds - (more.trained_s - fewer.trained_s)) / 96
        print(f"{label}: overhead {overhead:.2f} s per trial, from 32 to 128 trials", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    start_up(work)


if __name__ == "__main__":
    main()
