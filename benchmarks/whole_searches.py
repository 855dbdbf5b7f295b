"""Whole searches on real matches: the paper's procedure and others, with the same number of chunks.

    python benchmarks/whole_searches.py --wyscout DIR --work DIR [--runs 3] [--budget 12] [--only NAME ...]
        [--fresh-seeds 5]

Each search trains on 64 training and 30 validation matches of the open Wyscout data until all its trials
together have trained as many chunks as ``--budget`` whole trials. The winners are then trained again, with
seeds that no search has used. Two searches run at the same time, each on a core of its own. Neither searches
that have ended nor seeds of a winner are repeated when the script starts again. ``--only`` names what the
paper's procedure is compared with.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Queue

import numpy as np
import pandas as pd
import tomli_w
from main_job import Places
from scipy.stats import ttest_rel
from trainings import SPACE, TRAINING

from hpo.journal.events import TrialAsked, TrialReported
from hpo.journal.journal import stored_events
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.programs.program import best_choice
from hpo.programs.search import SearchProgram
from hpo.search.build import build_searcher
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.study.configurations.warm_start import scored_points

FRESH = 1000
"""First of the seeds with which the winners are trained again."""
FRESH_SEEDS = 5
"""Number of these seeds, unless another is asked for."""
STAGE = "bayes"
EPOCHS = TRAINING["epochs"]
NAMES = [parameter.name for parameter in SPACE.searched]
POLL_S = 0.2
CORES = 2
"""Cores of this machine, each for one search."""


@dataclass(frozen=True)
class Procedure:
    """A way to search."""

    name: str
    searcher: str
    scheduler: str
    factor: int = 1
    """Most trials, as a multiple of the budget: more than it lets end, where trials stop early."""
    options: tuple[str, ...] = ()
    """Other options of the search."""
    epochs: int = EPOCHS
    """Epochs of a whole training."""


PROCEDURES = (
    Procedure("paper", "bayes-opt", "none"),
    Procedure("whole", "botorch", "none"),
    Procedure("default", "botorch", "asha", factor=20),
)
TODAY = "paper, highest score"
"""What the others are compared with."""


def search(places: Places, procedure: Procedure, budget: int, seed: int, core: int) -> list[TrialState]:
    """Search on one core until the budget is used, and return the trials."""
    name, epochs = study_of(procedure, budget, seed), procedure.epochs
    if not has_ended(places, name, budget, epochs):
        way = ("--searcher", procedure.searcher, "--scheduler", procedure.scheduler)
        words = (
            *way,
            "--trials",
            str(procedure.factor * budget),
            "--seed",
            str(seed),
            "--epochs",
            str(epochs),
        )
        words += procedure.options
        known = folder_of(places, name).is_dir()
        command = ("resume", name) if known else ("run", STAGE, *data(places), "--study", name, *words)
        with start(places, core, *command, output=places.work / f"{name}.txt") as process:
            while process.poll() is None and not has_ended(places, name, budget, epochs):
                time.sleep(POLL_S)
            if process.poll() is None:
                start(places, core, "stop", name, output=places.work / "stop.txt").wait()
    return trials_of(places, name, budget * epochs)


def study_of(procedure: Procedure, budget: int, seed: int) -> str:
    """Return the name of the study of a search."""
    return f"{procedure.name}-{budget}-{seed}"


def has_ended(places: Places, name: str, budget: int, epochs: int) -> bool:
    """Return whether a search has used its budget, and its last whole trial has its score."""
    trials = trials_of(places, name, budget * epochs)
    at_the_end = [trial for trial in trials if len(trial.reports) == epochs]
    used = sum(len(trial.reports) for trial in trials)
    return used >= budget * epochs and all(trial.has_ended for trial in at_the_end)


def trials_of(places: Places, name: str, epochs: float = math.inf) -> list[TrialState]:
    """Read the trials of a search until they have trained so many epochs; none before it has begun."""
    folder = folder_of(places, name)
    if not (folder / "journal.jsonl").exists():
        return []
    events, left = [], epochs
    for event in stored_events(folder):
        if left <= 0 and isinstance(event, TrialAsked | TrialReported):
            break
        events.append(event)
        left -= isinstance(event, TrialReported)
    return StudyState.replay(events).trials_of(STAGE) if events else []


def folder_of(places: Places, name: str) -> Path:
    """Return the folder of a study."""
    return places.work / "runs" / "studies" / name


def data(places: Places, study_file: str = "whole.toml") -> tuple[str, ...]:
    """Return the options that say on what to train."""
    words = ("--data", str(places.data()), "--features", "EVENTS", "--games", "64,30")
    return (*words, "--study-file", str(places.work / study_file))


def start(places: Places, core: int, *words: str, output: Path) -> "subprocess.Popen[bytes]":
    """Start a command of the project on one core."""
    with output.open("ab") as file:
        return subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, "-m", "hpo", *words],
            env=environment(places),
            stdout=file,
            stderr=file,
        )


def environment(places: Places) -> dict[str, str]:
    """Return the environment of the project's commands."""
    folders = {"HPO_RUNS": places.work / "runs", "HPO_CACHE": places.work / "cache"}
    return {**os.environ, **{name: str(folder) for name, folder in folders.items()}}


def by_expectation(trials: Sequence[TrialState], known: Sequence[ScoredPoint]) -> Parameters:
    """Return the configuration that the product would name; ``known`` are the scores of its warm start."""
    searcher = build_searcher("botorch", SPACE, seed=0, known=known)
    program = SearchProgram(searcher, points=len(trials), replicates=1, metric="average_map")
    choice = program.choice(trials)
    assert choice
    return choice.parameters


def by_score(trials: Sequence[TrialState]) -> Parameters:
    """Return the configuration of the highest score."""
    choice = best_choice([trial for trial in trials if trial.has_ended])
    assert choice
    return choice.parameters


def winners(places: Places, procedures: Sequence[Procedure], budget: int, runs: int) -> pd.DataFrame:
    """Search with each procedure, two at the same time; returns the winners, one row each."""
    jobs = [(procedure, seed) for seed in range(runs) for procedure in procedures]
    cores: Queue[int] = Queue()
    for core in range(CORES):
        cores.put(core)

    def one(job: tuple[Procedure, int]) -> list[TrialState]:
        core = cores.get()
        try:
            procedure, seed = job
            return search(places, procedure, budget, seed, core)
        finally:
            cores.put(core)

    rows = []
    with ThreadPoolExecutor(CORES) as pool:
        for (procedure, seed), trials in zip(jobs, pool.map(one, jobs), strict=True):
            print(f"{procedure.name}, run {seed}: {len(trials)} trials", flush=True)
            state = stored_state(folder_of(places, study_of(procedure, budget, seed)))
            known = scored_points(state.asked[STAGE].known)
            for way, winner in (("highest", by_score(trials)), ("expected", by_expectation(trials, known))):
                rows.append({"way": f"{procedure.name}, {way} score", "run": seed, **winner})
    return pd.DataFrame(rows)


def retrained(places: Places, found: pd.DataFrame, seeds: int, epochs: int = EPOCHS) -> list[list[float]]:
    """Train configurations with fresh seeds; returns the scores of each, in the order of seeds.

    Seeds with which an earlier call has trained a configuration are not repeated.
    """
    rows = pd.DataFrame(found[NAMES].drop_duplicates())
    first = rows.apply(lambda row: first_missing(fresh_scores(places, row.to_dict())), axis="columns")
    for seed, group in rows.groupby(first):
        if seed < FRESH + seeds:
            train_again(places, group, seed, FRESH + seeds - seed, epochs)
    known = [fresh_scores(places, row) for row in found[NAMES].to_dict("records")]
    return [[scores[seed] for seed in range(FRESH, FRESH + seeds)] for scores in known]


def first_missing(scores: dict[int, float]) -> int:
    """Return the first fresh seed without a score."""
    return next(seed for seed in count(FRESH) if seed not in scores)


def train_again(places: Places, winners: pd.DataFrame, seed: int, seeds: int, epochs: int) -> None:
    """Train configurations with so many seeds, from ``seed`` on."""
    winners.to_csv(places.work / "winners.csv", index=False)
    points = ("--try", str(places.work / "winners.csv"), "--trials", str(len(winners)))
    plain = ("--searcher", "random", "--scheduler", "none", "--concurrent", "2", "--epochs", str(epochs))
    study = ("--study", f"fresh-{len(list(fresh_folders(places)))}")
    fresh = ("--replicates", str(seeds), "--seed", str(seed))
    command = ("run", STAGE, *data(places, "fresh.toml"), *study, *points, *fresh, *plain)
    subprocess.run([sys.executable, "-m", "hpo", *command], env=environment(places), check=True)


def fresh_scores(places: Places, row: dict[str, float]) -> dict[int, float]:
    """Return the scores of a configuration by fresh seed."""
    ended = (trial for trial in fresh_trials(places) if trial.has_ended and close(trial.parameters, row))
    return {trial.seed: trial.score for trial in ended if trial.score is not None}


def fresh_folders(places: Places) -> Iterable[Path]:
    """Yield the folders of the studies that trained winners again."""
    return (places.work / "runs" / "studies").glob("fresh*")


def fresh_trials(places: Places) -> list[TrialState]:
    """Return the trials of winners with fresh seeds."""
    return [trial for folder in fresh_folders(places) for trial in trials_of(places, folder.name)]


def close(parameters: Parameters, row: dict[str, float]) -> bool:
    """Return whether a trial has the hyperparameters of a row."""
    return all(np.isclose(float(parameters[name]), value) for name, value in row.items())


def report(found: pd.DataFrame, reference: str) -> None:
    """Print the scores of the winners, and how the ways to choose them differ from ``reference``."""
    print("\n| winner of | run | " + " | ".join(NAMES) + " | mean of the fresh seeds |")
    for row in found.sort_values(["way", "run"]).to_dict("records"):
        values = " | ".join(f"{row[name]:.3g}" for name in NAMES)
        print(f"| {row['way']} | {row['run']} | {values} | {np.mean(row['scores']):.4f} |")
    means = found.assign(mean=found.scores.map(np.mean)).pivot(index="run", columns="way", values="mean")
    for way in means:
        test = ttest_rel(means[way], means[reference])
        low, high = test.confidence_interval()
        told = "" if way == reference else f", minus {reference}: {low:+.4f} to {high:+.4f}"
        print(f"{way}: {means[way].mean():.4f} over {len(means)} runs{told}")


def write_study_files(work: Path, budget: int, chunks_per_epoch: int = TRAINING["chunks_per_epoch"]) -> None:
    """Write the study files of searches and of winners that are trained again into the folder ``work``."""
    work.mkdir(parents=True, exist_ok=True)
    for name, own_first in (("whole.toml", True), ("fresh.toml", False)):
        stage = {"trials": budget, "space": SPACE.describe(), "own_first": own_first}
        training = {**TRAINING, "chunks_per_epoch": chunks_per_epoch}
        study = {"task": "calf", "training": training, "stages": {STAGE: stage}}
        (work / name).write_text(tomli_w.dumps(study))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget", type=int, default=12, help="chunks of a search, in whole trainings")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in PROCEDURES[1:]])
    parser.add_argument(
        "--fresh-seeds", type=int, default=FRESH_SEEDS, help="seeds to train each winner again with"
    )
    words = parser.parse_args()
    places = Places(words.wyscout, words.work)
    write_study_files(words.work, words.budget)
    others = [each for each in PROCEDURES[1:] if not words.only or each.name in words.only]
    places.data()  # made once, before two searches want it
    found = winners(places, [PROCEDURES[0], *others], words.budget, words.runs)
    found["scores"] = retrained(places, found, words.fresh_seeds)
    report(found, TODAY)


if __name__ == "__main__":
    main()
