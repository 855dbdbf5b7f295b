"""Many tiny trials in one study: memory over time, completeness of the records, overhead per trial.

    python benchmarks/load.py --work DIR [--trials 500] [-- --concurrent 8 --array 8]

Arguments after ``--`` are passed to ``hpo run bayes``. All files are written into DIR. After every 50th trial
it prints the resident memory by kind of process and the largest number of events that MLflow has lacked since
the line before; at the end the number of records in journal and MLflow.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from thousands import events_lacking

from hpo.journal.events import StudyCreated, TrialAsked, TrialFinished, TrialReported
from hpo.journal.journal import read_journal
from model.data.synthetic import write_synthetic

STUDY = """
task = "calf"
[training]
epochs = 1
validate_every = 1
sampler = "balanced"
batch_size = 8
chunks_per_epoch = 8
precision = "float32"
[stages.bayes]
trials = 1
searcher = "random"
scheduler = "none"
[stages.bayes.space]
f = { type = "int", low = 2, high = 8 }
lambda_seg = { type = "float", low = 0.1, high = 10.0, log = true }
"""
STUDY_NAME = "load"
EVERY = 50
"""Number of trials between two printed lines."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and studies")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("words", nargs="*", default=["--concurrent", "8", "--array", "8"])
    options = parser.parse_args()
    runs = Path(mkdtemp(prefix="runs-", dir=options.work))
    started = time.perf_counter()
    process = start(options.work, runs, options.trials, options.words)
    watch(process, runs)
    assert process.wait() == 0, (runs / "output.txt").read_text()[-2000:]
    show_end(runs, options.trials, time.perf_counter() - started)


def start(work: Path, runs: Path, trials: int, words: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start the study in a new process group."""
    data, study_file = work / "tiny", runs / "tiny.toml"
    if not (data / "dataset.toml").exists():
        write_synthetic(data, games={"train": 1, "valid": 1, "test": 1}, dims=16, minutes=15, seed=1)
    study_file.write_text(STUDY)
    options = ["--data", str(data), "--study", STUDY_NAME, "--study-file", str(study_file), "--device", "cpu"]
    with (runs / "output.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "hpo", "run", "bayes", *options, "--trials", str(trials), *words],
            env={**os.environ, "HPO_CACHE": str(work / "cache"), "HPO_RUNS": str(runs)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def watch(process: "subprocess.Popen[bytes]", runs: Path) -> None:
    """Print memory by kind of process and the lag of MLflow after every 50th finished trial."""
    print("finished  at s  MLflow lacks up to  MB by kind of process")
    begun, following, lag = time.monotonic(), 0, 0
    while process.poll() is None:
        time.sleep(1)
        lag = max(lag, events_lacking(runs, STUDY_NAME) or 0)
        done = finished(runs / "studies" / STUDY_NAME)
        if done >= following and done:
            memory = memory_by_kind(process.pid)
            kinds = "  ".join(f"{kind} {mb:.0f}" for kind, mb in sorted(memory.items()))
            print(f"{done:8}  {time.monotonic() - begun:4.0f}  {lag:18}  {kinds}", flush=True)
            following, lag = done - done % EVERY + EVERY, 0


def finished(study: Path) -> int:
    """Return the number of finished trials in the journal."""
    file = study / "journal.jsonl"
    return file.read_text().count('"event": "trial-finished"') if file.exists() else 0


def memory_by_kind(driver: int) -> Counter[str]:
    """Return the resident memory in MB of the driver and the processes it started, by Ray's process names."""
    parents, memory_mb, commands = dict[int, int](), dict[int, float](), dict[int, str]()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        process = int(folder.name)
        with suppress(OSError):  # it ended just now
            parents[process] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            memory_mb[process] = int((folder / "statm").read_text().split()[1]) * _PAGE / 1e6
            commands[process] = (folder / "cmdline").read_bytes().decode(errors="replace").strip("\0")
    memory: Counter[str] = Counter()
    for process, command in commands.items():
        above = process
        while above not in (driver, 0):
            above = parents.get(above, 0)
        if above == driver:
            memory[_kind(command, is_driver=process == driver)] += memory_mb[process]
    return memory


def _kind(command: str, *, is_driver: bool) -> str:
    if is_driver:
        return "driver"
    if command.startswith("ray::"):
        return command.removeprefix("ray::").split(".")[0].split("\0")[0]
    return Path(command.split("\0")[0]).name


def show_end(runs: Path, trials: int, seconds: float) -> None:
    """Print the number of records and the overhead per trial."""
    from mlflow import MlflowClient

    events = read_journal(runs / "studies" / STUDY_NAME).events
    ends = [event for event in events if isinstance(event, TrialFinished)]
    # Seconds of a trial until each of its reports: the last one has them all.
    trained_s = sum({e.trial: e.train_s for e in events if isinstance(e, TrialReported)}.values())
    first = next(event for event in events if isinstance(event, TrialAsked)).at
    created = next(event for event in events if isinstance(event, StudyCreated))
    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(created.study)
    assert experiment is not None
    search = {"filter_string": "tags.`hpo.status` = 'finished'", "max_results": 50_000}
    recorded = client.search_runs([experiment.experiment_id], **search)
    names = {run.info.run_name for run in recorded if "mlflow.parentRunId" in run.data.tags}
    took_s = (ends[-1].at - first).total_seconds()
    written = len({end.trial for end in ends})
    print(f"trials: {trials} requested, {written} in the journal, {len(names)} in MLflow")
    print(
        f"total {seconds:.0f} s; {took_s / trials:.2f} s per trial, {trained_s / trials:.2f} s of it training"
    )


if __name__ == "__main__":
    main()
