"""Whole searches on real matches: the paper's procedure and the default one, with the same number of chunks.

    python benchmarks/whole_searches.py --wyscout DIR --work DIR [--runs 3]

Each search trains on 64 training and 30 validation matches of the open Wyscout data until all its trials
together have trained as many chunks as 12 whole trials. The winners are then trained again, with five seeds
that no search has used. Both procedures run at the same time, each on a core of its own. Searches that have
ended are not repeated when the script starts again.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w
from main_job import Places
from scipy.stats import ttest_rel
from trainings import SPACE, TRAINING

from hpo.journal.events import TrialReported
from hpo.journal.journal import stored_events
from hpo.journal.results import StudyState, TrialState
from hpo.programs.program import best_choice
from hpo.programs.search import SearchProgram
from hpo.search.build import build_searcher
from hpo.space.space import Parameters

BUDGET = 12
"""Chunks of a search, in whole trainings."""
SEEDS = 5
"""Seeds with which a winner is trained again."""
FRESH = 1000
"""Seed of the study that trains the winners again."""
STAGE = "bayes"
NAMES = [parameter.name for parameter in SPACE.searched]
POLL_S = 0.2


@dataclass(frozen=True)
class Procedure:
    """A way to search."""

    name: str
    searcher: str
    scheduler: str
    trials: int
    """Most trials: more than the budget lets end, where trials stop early."""
    core: int
    """Core of this machine that the searches run on."""


PAPER = Procedure("paper", "bayes-opt", "none", trials=BUDGET, core=0)
DEFAULT = Procedure("default", "botorch", "asha", trials=20 * BUDGET, core=1)
PAIRS = (
    ("the default, expected score", "the paper's, highest score"),
    ("the paper's, expected score", "the paper's, highest score"),
)
"""Winners that are compared."""


def search(places: Places, procedure: Procedure, seed: int) -> list[TrialState]:
    """Search until the budget is used, and return the trials."""
    name = f"{procedure.name}-{seed}"
    if not has_ended(places, name):
        way = ("--searcher", procedure.searcher, "--scheduler", procedure.scheduler)
        words = (*way, "--trials", str(procedure.trials), "--seed", str(seed))
        known = folder_of(places, name).is_dir()
        command = ("resume", name) if known else ("run", STAGE, *data(places), "--study", name, *words)
        with start(places, procedure.core, *command, output=places.work / f"{name}.txt") as process:
            while process.poll() is None and not has_ended(places, name):
                time.sleep(POLL_S)
            if process.poll() is None:
                start(places, procedure.core, "stop", name, output=places.work / "stop.txt").wait()
    return trials_of(places, name)


def has_ended(places: Places, name: str) -> bool:
    """Return whether a search has used its budget."""
    return sum(len(trial.reports) for trial in trials_of(places, name)) >= BUDGET * TRAINING["epochs"]


def trials_of(places: Places, name: str, budget: int = BUDGET) -> list[TrialState]:
    """Read the trials of a search until its budget is used; none before it has begun."""
    folder = folder_of(places, name)
    if not (folder / "journal.jsonl").exists():
        return []
    events, left = [], budget * TRAINING["epochs"]
    for event in stored_events(folder):
        events.append(event)
        left -= isinstance(event, TrialReported)
        if not left:
            break
    return StudyState.replay(events).trials_of(STAGE) if events else []


def folder_of(places: Places, name: str) -> Path:
    """Return the folder of a study."""
    return places.work / "runs" / "studies" / name


def data(places: Places) -> tuple[str, ...]:
    """Return the options that say on what to train."""
    file = places.work / "whole.toml"
    return (
        "--data",
        str(places.data()),
        "--features",
        "EVENTS",
        "--games",
        "64,30",
        "--study-file",
        str(file),
    )


def start(places: Places, core: int, *words: str, output: Path) -> "subprocess.Popen[bytes]":
    """Start a command of the project on one core."""
    variables = {"HPO_RUNS": str(places.work / "runs"), "HPO_CACHE": str(places.work / "cache")}
    with output.open("ab") as file:
        return subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, "-m", "hpo", *words],
            env={**os.environ, **variables},
            stdout=file,
            stderr=file,
        )


def by_expectation(trials: Sequence[TrialState]) -> Parameters:
    """Return the configuration that the product would name."""
    searcher = build_searcher("botorch", SPACE, seed=0, known=())
    program = SearchProgram(searcher, points=len(trials), replicates=1, metric="average_map")
    choice = program.choice(trials)
    assert choice
    return choice.parameters


def by_score(trials: Sequence[TrialState]) -> Parameters:
    """Return the configuration of the highest score."""
    choice = best_choice([trial for trial in trials if trial.has_ended])
    assert choice
    return choice.parameters


def winners(places: Places, runs: int) -> pd.DataFrame:
    """Search with both procedures; returns the winners, one row each, in the order of runs."""
    rows = []
    for seed in range(runs):
        with ThreadPoolExecutor(2) as pool:
            paper, new = pool.map(lambda way, seed=seed: search(places, way, seed), (PAPER, DEFAULT))
        named = {
            "the paper's, highest score": by_score(paper),
            "the paper's, expected score": by_expectation(paper),
            "the default, expected score": by_expectation(new),
        }
        rows += [{"way": way, "run": seed, **parameters} for way, parameters in named.items()]
        print(f"run {seed}: {len(paper)} and {len(new)} trials", flush=True)
    return pd.DataFrame(rows)


def retrained(places: Places, found: pd.DataFrame) -> list[list[float]]:
    """Train configurations with fresh seeds; returns the scores of each, in the order of seeds."""
    different = found[NAMES].drop_duplicates()
    points = places.work / "winners.csv"
    different.to_csv(points, index=False)
    words = ("--try", str(points), "--trials", str(len(different)), "--replicates", str(SEEDS))
    plain = ("--searcher", "random", "--scheduler", "none", "--seed", str(FRESH), "--concurrent", "2")
    command = [sys.executable, "-m", "hpo", "run", STAGE, *data(places), "--study", "fresh", *words, *plain]
    variables = {"HPO_RUNS": str(places.work / "runs"), "HPO_CACHE": str(places.work / "cache")}
    subprocess.run(command, env={**os.environ, **variables}, check=True)
    trials = trials_of(places, "fresh", len(different) * SEEDS)
    return [
        [trial.score or 0.0 for trial in trials if close(trial.parameters, row)]
        for row in found[NAMES].to_dict("records")
    ]


def close(parameters: Parameters, row: dict[str, float]) -> bool:
    """Return whether a trial has the hyperparameters of a row."""
    return all(np.isclose(float(parameters[name]), value) for name, value in row.items())


def report(found: pd.DataFrame) -> None:
    """Print the scores of the winners and the differences between the procedures."""
    print("\n| winner of | run | " + " | ".join(NAMES) + " | mean of the fresh seeds |")
    for row in found.sort_values(["way", "run"]).to_dict("records"):
        values = " | ".join(f"{row[name]:.3g}" for name in NAMES)
        print(f"| {row['way']} | {row['run']} | {values} | {np.mean(row['scores']):.4f} |")
    for one, other in PAIRS:
        ours, theirs = (
            np.array([np.mean(s) for s in found[found.way == way].scores]) for way in (one, other)
        )
        test = ttest_rel(ours, theirs)
        low, high = test.confidence_interval()
        print(f"{one}: {ours.mean():.4f}; {other}: {theirs.mean():.4f}")
        print(f"difference {(ours - theirs).mean():+.4f} ({low:+.4f} to {high:+.4f}, {len(ours)} runs)")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    words = parser.parse_args()
    places = Places(words.wyscout, words.work)
    words.work.mkdir(parents=True, exist_ok=True)
    searched = {"trials": BUDGET, "space": SPACE.describe()}
    (words.work / "whole.toml").write_text(
        tomli_w.dumps({"task": "calf", "training": TRAINING, "stages": {STAGE: searched}})
    )
    found = winners(places, words.runs)
    found["scores"] = retrained(places, found)
    report(found)


if __name__ == "__main__":
    main()
