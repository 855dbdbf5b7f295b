"""Studies of thousands of trials: commands on a long journal, and many trials of no duration.

    python benchmarks/thousands.py commands --work DIR [--trials 1000 10000]
    python benchmarks/thousands.py trials --work DIR [--trials 2000]

``commands`` writes a journal of a search for each number of trials: hyperparameters of the space of
``demo.toml``, five validations per trial, one trial in five stopped early, one in
twenty failed. It then runs each command as a process and prints its seconds on the clock, its processor
time and its peak memory. For ``resume`` it prints the time until the journal contains the next proposal;
MLflow is down.

``trials`` runs a real study with the task ``instant``, whose trials take no time. Every two seconds it
records the memory of the driver and the number of events that MLflow lacks, and prints them for each tenth.
"""

import argparse
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from instant import expected_score

from hpo.config.environment import read_environment
from hpo.config.stages import SEARCH
from hpo.journal.codec import to_json
from hpo.journal.events import (
    Event,
    StageAsked,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)
from hpo.journal.journal import read_journal
from hpo.space.space import Space
from hpo.study.folders import study_folder
from hpo.tasks.base.versions import code_digest

VALIDATIONS = 5
_ENDED = re.compile(rb'"event": "trial-(?:finished|stopped|failed)"')
COMMANDS = (("status",), ("best",), ("best", "--json"), ("report",))
NOWHERE = "http://127.0.0.1:9"
"""Address of an MLflow server that does not answer."""
STUDY_FILE = """
task = "instant"
[training]
epochs = 4
validate_every = 1
[stages.bayes]
trials = 2000
[stages.bayes.space]
f = { type = "int", low = 4, high = 64, log = true }
r_s = { type = "float", low = 10.0, high = 80.0, log = true }
alpha2 = { type = "float", low = 0.5, high = 50.0, log = true }
beta = { type = "float", low = 0.05, high = 5.0, log = true }
lambda_seg = { type = "float", low = 0.05, high = 15.0, log = true }
"""


def main() -> None:
    """Run one of the two benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("commands", "trials"))
    parser.add_argument("--work", type=Path, required=True, help="folder for data and studies")
    parser.add_argument("--trials", type=int, nargs="+", default=None)
    parser.add_argument(
        "--limit-s", type=float, default=400.0, help="seconds after which a command is killed"
    )
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    os.environ |= {"HPO_RUNS": str(options.work / "hpo-runs"), "HPO_CACHE": str(options.work / "cache")}
    if options.what == "trials":
        for trials in options.trials or (2000,):
            run_trials(options.work, trials)
        return
    for trials in options.trials or (1000, 10000):
        name = write_study(trials)
        for command in COMMANDS:
            print(
                f"{trials:6} {' '.join(command):12} {measured([*command, name], options.limit_s)}", flush=True
            )
        print(f"{trials:6} {'resume':12} {next_proposal(name, options.limit_s)}", flush=True)


def write_study(trials: int) -> str:
    """Write the journal of a search with ``trials`` trials and return the name of the study."""
    environment = read_environment()
    if not study_folder(environment, "seed").is_dir():
        run(["run", "bayes", "--study", "seed", "--trials", "1", "--epochs", "5"], check=True)
    begun = read_journal(study_folder(environment, "seed")).events
    name = f"thousands-{trials}"
    folder = study_folder(environment, name)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.jsonl").open("w") as file:
        file.writelines(f"{to_json(event)}\n" for event in study_events(name, trials, begun))
    return name


def study_events(name: str, trials: int, begun: Sequence[Event]) -> Iterator[Event]:
    """Yield the events of a study that continues the first events of a real one."""
    created, asked, started = (
        next(event for event in begun if isinstance(event, kind))
        for kind in (StudyCreated, StageAsked, StageStarted)
    )
    reported = next(event for event in begun if isinstance(event, TrialReported))
    yield replace(created, study=name, code_digest=code_digest("calf"), identity=f"{name:0<32.32}")
    settings = {**asked.settings, "trials": trials + 1, "searcher": "botorch", "scheduler": "asha"}
    yield replace(asked, settings=settings)
    yield replace(started, trials=trials + 1)
    random, space = np.random.default_rng(0), Space.from_description(started.space)
    for number in range(trials):
        yield from trial_events(number, space, reported.metrics, random)
    yield StudyInterrupted(reason="stopped before the end")


def trial_events(
    number: int, space: Space, metrics: Mapping[str, float], random: np.random.Generator
) -> Iterator[Event]:
    """Yield the events of one trial."""
    trial, at = f"bayes-{number + 1:04d}", datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)
    parameters = space.from_unit(random.random(space.dimensions))
    yield TrialAsked(trial=trial, stage=SEARCH, parameters=parameters, seed=0, at=at)
    yield TrialStarted(trial=trial, host="bench", device="cpu", threads=1, at=at)
    fate = random.random()
    lasts = 2 if fate < 0.25 else VALIDATIONS
    scores = []
    for epoch in range(1, lasts + 1):
        expected = expected_score(parameters) * (1 - 0.5**epoch)
        scores.append(float(np.clip(expected + random.normal(scale=0.02), 0.001, 1)))
        noise = {key: value * float(random.uniform(0.5, 1.5)) for key, value in metrics.items()}
        measured = {**noise, "average_map": scores[-1], "average_map_present": scores[-1]}
        yield TrialReported(trial=trial, epoch=epoch, metrics=measured, train_s=9.5 * epoch, at=at)
    best = max(scores)
    outcome = {"trial": trial, "score": best, "epoch": scores.index(best) + 1, "duration_s": 10.0 * lasts}
    if fate < 0.05:
        yield TrialFailed(trial=trial, reason="the loss is not finite in epoch 3", at=at)
    elif fate < 0.25:
        yield TrialStopped(**outcome, at=at)  # type: ignore[arg-type]
    else:
        yield TrialFinished(**outcome, at=at)  # type: ignore[arg-type]


def run(words: Sequence[str], **options: bool) -> "subprocess.CompletedProcess[str]":
    """Run a command of ``hpo`` to its end."""
    return subprocess.run([sys.executable, "-m", "hpo", *words], capture_output=True, text=True, **options)


def measured(words: Sequence[str], limit_s: float) -> str:
    """Run a command and return its time, processor time and peak memory."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "hpo", *words], stdout=subprocess.DEVNULL) as process:
        code, usage = wait_for_end(process, begun + limit_s)
    spent_s = time.perf_counter() - begun
    end = "killed at the limit" if code == -signal.SIGKILL else f"exit code {code}"
    return (
        f"{spent_s:6.1f} s, {usage.ru_utime + usage.ru_stime:6.1f} s of the processor, "
        f"{usage.ru_maxrss / 1024:5.0f} MB, {end}"
    )


def wait_for_end(process: "subprocess.Popen[bytes]", limit: float) -> tuple[int, resource.struct_rusage]:
    """Wait for a process, kill it at the limit, and return its exit code and usage."""
    ended = 0
    while not ended:
        time.sleep(0.02)
        if time.perf_counter() > limit:
            os.kill(process.pid, signal.SIGKILL)  # Popen.kill would take the end away from wait4
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def next_proposal(name: str, limit_s: float) -> str:
    """Resume a study and return the time until the journal contains a new proposal."""
    journal = study_folder(read_environment(), name) / "journal.jsonl"
    before, begun = journal.stat().st_size, time.perf_counter()
    variables = {**os.environ, "MLFLOW_TRACKING_URI": NOWHERE}
    with subprocess.Popen(
        [sys.executable, "-m", "hpo", "resume", name], stderr=subprocess.DEVNULL, env=variables
    ) as process:
        marks: dict[str, float] = {}
        while time.perf_counter() < begun + limit_s and process.poll() is None and "trial-asked" not in marks:
            time.sleep(0.05)
            with journal.open("rb") as file:
                file.seek(before)
                added = file.read()
            for mark in ("study-resumed", "trial-started", "trial-asked"):
                if f'"{mark}"'.encode() in added:
                    marks.setdefault(mark, time.perf_counter() - begun)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(120)
        process.kill()
    return ", ".join(f"{mark} after {at:.1f} s" for mark, at in marks.items()) or "no proposal"


def run_trials(work: Path, trials: int) -> None:
    """Run a study of the task ``instant`` and print the memory of its driver and the lag of MLflow."""
    (work / "instant.toml").write_text(STUDY_FILE)
    name = f"instant-{trials}-{int(time.time())}"
    words = ["run", "bayes", "--study-file", "./instant.toml", "--data", ".", "--study", name]
    words += ["--trials", str(trials), "--searcher", "random", "--concurrent", "2"]
    path = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    begun = time.perf_counter()
    samples: list[tuple[float, int, float, int]] = []
    with subprocess.Popen(
        [sys.executable, "-m", "hpo", *words],
        stdout=subprocess.DEVNULL,
        stderr=(work / f"{name}.log").open("w"),
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        while process.poll() is None:
            time.sleep(2)
            if found := sample(work, name, process.pid):
                samples.append((time.perf_counter() - begun, *found))
    print(f"{trials} trials in {time.perf_counter() - begun:.0f} s, exit code {process.returncode}")
    for tenth in range(1, 11):
        among = [row for row in samples if row[1] <= trials * tenth // 10]
        if among:
            at_s, ended, memory_mb, _ = among[-1]
            lag = max(row[3] for row in among)
            print(f"{ended:6} after {at_s:5.0f} s: driver {memory_mb:4.0f} MB, MLflow lacks up to {lag}")


def sample(work: Path, name: str, driver: int) -> tuple[int, float, int] | None:
    """Return ended trials, resident memory of the driver in MB, and events that MLflow lacks."""
    runs = work / "hpo-runs"
    try:
        journal = (runs / "studies" / name / "journal.jsonl").read_bytes()
        pages = int(Path(f"/proc/{driver}/statm").read_text().split()[1])
    except (OSError, ValueError):
        return None
    lacking = events_lacking(runs, name)
    memory_mb = pages * resource.getpagesize() / 2**20
    return None if lacking is None else (len(_ENDED.findall(journal)), memory_mb, lacking)


def events_lacking(runs: Path, name: str) -> int | None:
    """Return the number of events of a study that MLflow lacks; None before it has the study."""
    try:
        written = (runs / "studies" / name / "journal.jsonl").read_bytes().count(b"\n")
        with closing(sqlite3.connect(f"file:{runs / 'mlflow.db'}?mode=ro", uri=True)) as store:
            (row,) = store.execute(
                "select tag.value from experiment_tags tag join experiments e using (experiment_id) "
                "where e.name = ? and tag.key = 'hpo.recorded_events'",
                (name,),
            ).fetchall()
    except (OSError, ValueError, sqlite3.Error):
        return None
    return written - int(row[0])


if __name__ == "__main__":
    main()
