"""The paper's whole procedure on a reduced budget, its ablation, and the grid on data with known zones.

    python benchmarks/paper_procedure.py --wyscout DIR --work DIR [--only paper,ablation,grid,zones]

The folder of ``--wyscout`` contains events.zip, matches.zip and splits/. All files are written into the
folder of ``--work``. Prints one line per result.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import tomli_w
from main_job import Places

from hpo.journal.paired import paired_difference
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.programs.grid import COMBINED, GRID, START
from hpo.report.stage_tables import format_difference
from hpo.space.space import Parameters
from hpo.study.configurations.finalists import OWN
from hpo.tasks.calf.zones import zones_of
from model.data.synthetic import planted_zones_s, write_synthetic

REDUCED = """
task = "calf"
[training]
epochs = 12
validate_every = 6
precision = "bfloat16"
[stages.bayes]
trials = 12
[stages.bayes.space]
f = { type = "int", low = 4, high = 32, log = true }
r_s = { type = "float", low = 10.0, high = 60.0, log = true }
alpha2 = { type = "float", low = 0.5, high = 50.0, log = true }
beta = { type = "float", low = 0.05, high = 5.0, log = true }
lambda_seg = { type = "float", low = 0.05, high = 15.0, log = true }
[stages.grid-slicing.grid.default]
K1_s = [-20]
K2_s = [-10, -5]
K3_s = [5, 10, 30, 60]
K4_s = [10, 20, 60, 90]
[stages.final]
epochs = 20
seeds = 5
[stages.ablation]
epochs = 20
seeds = 3
"""


def hpo(places: Places, *words: str) -> float:
    """Run a command of the project and return its duration in seconds."""
    environment = {**os.environ, "HPO_RUNS": str(runs(places)), "HPO_CACHE": str(places.work / "cache")}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "hpo", *words], env=environment, check=True)
    return time.perf_counter() - started


def runs(places: Places) -> Path:
    """Return the folder of studies."""
    return places.work / "procedure-runs"


def state_of(places: Places, study: str) -> StudyState:
    """Read the state of a study."""
    return stored_state(runs(places) / "studies" / study)


def paper(places: Places) -> None:
    """Run bayes, grid-slicing and final on 64 training and 30 validation games, and the test split."""
    study_file = places.work / "reduced.toml"
    study_file.write_text(REDUCED)
    words = ("--features", "EVENTS", "--data", str(places.data()), "--games", "64,30", "--study", "procedure")
    seconds = hpo(places, "run", "paper", *words, "--study-file", str(study_file))
    state = state_of(places, "procedure")
    print(f"hpo run paper: {len(state.trials)} trials in {seconds / 60:.0f} min", flush=True)
    trials = state.trials_of("final")
    for role in dict.fromkeys(trial.role for trial in trials):
        valid, test = by_seed(trials, role, tested=False), by_seed(trials, role, tested=True)
        difference = paired_difference(test, by_seed(trials, OWN, tested=True))
        print(
            f"final, {role}: validation {spread(valid)}, test {spread(test)}, "
            f"test minus paper's hyperparameters {format_difference(difference)}",
            flush=True,
        )


def ablation(places: Places) -> None:
    """Run the ablation of Table 2 on the configuration that the procedure found."""
    hpo(places, "run", "ablation", "--study", "procedure")
    trials = state_of(places, "procedure").trials_of("ablation")
    for role in dict.fromkeys(trial.role for trial in trials):
        scores = by_seed(trials, role, tested=False)
        difference = paired_difference(scores, by_seed(trials, trials[0].role, tested=False))
        print(f"ablation, {role}: {spread(scores)}, minus full {format_difference(difference)}", flush=True)


def by_seed(trials: list[TrialState], role: str, *, tested: bool) -> dict[int, float]:
    """Return replicate -> Average-mAP of the trials of one role."""
    mine = [trial for trial in trials if trial.role == role]
    if tested:
        return {trial.replicate: trial.tested["average_map"] for trial in mine if trial.tested}
    return {trial.replicate: trial.score for trial in mine if trial.score is not None}


def spread(scores: dict[int, float]) -> str:
    """Format mean and standard deviation over seeds."""
    values = list(scores.values())
    return f"{fmean(values):.4f} (sd {stdev(values):.4f}, {len(values)} seeds)"


GRID_STUDY = """
task = "calf"
[training]
epochs = {epochs}
validate_every = {epochs}
precision = "bfloat16"
[hyperparameters]
lambda_seg = {lambda_seg}
[stages.bayes]
trials = 1
[stages.bayes.space]
f = {{ type = "int", low = 4, high = 32 }}
[stages.grid-slicing]
replicates = 4
seeds = {seeds}
concurrent = 2
"""
SHARES = (0.25, 0.5, 1.0, 2.0)
"""Values of the grid as shares of the planted K3 and K4; the first one is the start, each is twice the one
before."""
RUNS = 10
"""Grids on different games, of which most must find the planted zones."""


def grid(places: Places) -> None:
    """Run class-parallel and per-class grids on games with known zones, from a quarter of K3 and K4."""
    data, study_file = synthetic_grid(places, seed=5, seeds=5)
    for mode in ("class-parallel", "per-class"):
        words = ("--from", "paper", "--data", str(data), "--study-file", str(study_file), "--study", mode)
        seconds = hpo(places, "run", "grid-slicing", "--mode", mode, *words)
        report_grid(mode, state_of(places, mode), seconds)


def synthetic_grid(places: Places, *, seed: int, seeds: int) -> tuple[Path, Path]:
    """Write games with known zones and the study file of a grid; returns both.

    Args:
        places: Where to write.
        seed: Seed of the games.
        seeds: Seeds of the start and of what the grid finds.
    """
    root, study_file = places.work / f"synthetic-grid-{seed}", places.work / f"grid-{seeds}.toml"
    if not (root / "dataset.toml").exists():
        write_synthetic(root, games={"train": 16, "valid": 16, "test": 1}, minutes=20, seed=seed)
    names = ("default", *planted_zones_s())
    tables = {
        "stages": {"grid-slicing": {"grid": {name: _axes(name) for name in names}}},
        "zones_s": {name: _start(name) for name in names},
    }
    study_file.write_text(GRID_STUDY.format(epochs=12, lambda_seg=10.0, seeds=seeds) + tomli_w.dumps(tables))
    return root, study_file


def zones(places: Places) -> None:
    """Run class-parallel grids on ten sets of games with known zones, each with a seed of its own.

    Grids that an earlier call has run are not repeated.
    """
    near = 0
    for run in range(RUNS):
        data, study_file = synthetic_grid(places, seed=10 + run, seeds=1)
        name = f"zones-{run}"
        words = ("--data", str(data), "--study-file", str(study_file), "--study", name, "--seed", str(run))
        if not (runs(places) / "studies" / name).exists():
            hpo(places, "run", "grid-slicing", "--mode", "class-parallel", "--from", "paper", *words)
        trials = state_of(places, name).trials_of("grid-slicing")
        shares = found_shares(next(trial.parameters for trial in trials if trial.role == COMBINED))
        # Whole frames move a value a little off its share.
        steps = [abs(round(np.log2(share))) for pair in shares.values() for share in pair]
        near += max(steps) <= 1
        told = ", ".join(f"{name} {k3:g} {k4:g}" for name, (k3, k4) in shares.items())
        tried = sum(trial.role == GRID for trial in trials)
        print(f"zones, run {run}: {tried} grid trials; K3 and K4 in units of the planted: {told}", flush=True)
    print(f"zones: all within one step in {near} of {RUNS} runs", flush=True)


def found_shares(found: Parameters) -> dict[str, tuple[float, float]]:
    """Return K3 and K4 of each class in units of the planted ones."""
    pairs = {}
    for name, planted_s in planted_zones_s().items():
        _, _, *shares = [value / 2 / own for value, own in zip(zones_of(found, name), planted_s, strict=True)]
        pairs[name] = (round(shares[0], 3), round(shares[1], 3))
    return pairs


def report_grid(mode: str, state: StudyState, seconds: float) -> None:
    """Print the cost and the result of a grid, compared with the planted zones."""
    trials = state.trials_of("grid-slicing")
    tried = sum(trial.role == GRID for trial in trials)
    print(f"grid, {mode}: {tried} grid trials in {seconds / 60:.0f} min", flush=True)
    combined, start = (by_seed(trials, role, tested=False) for role in (COMBINED, START))
    difference = format_difference(paired_difference(combined, start))
    print(f"grid, {mode}: start {spread(start)}, found {spread(combined)}, {difference}", flush=True)
    found = next(trial.parameters for trial in trials if trial.role == COMBINED)
    for name, (k3, k4) in found_shares(found).items():
        print(f"grid, {mode}, {name}: K3, K4 {k3:g}, {k4:g} of the planted", flush=True)


def _axes(name: str) -> dict[str, list[float]]:
    """Return the grid of a class: K1 and K2 as planted, and ``SHARES`` of K3 and K4."""
    k1, k2, k3, k4 = planted_zones_s().get(name, (-20.0, -10.0, 10.0, 20.0))
    return {
        "K1_s": [k1],
        "K2_s": [k2],
        "K3_s": [k3 * share for share in SHARES],
        "K4_s": [k4 * share for share in SHARES],
    }


def _start(name: str) -> list[float]:
    k1, k2, k3, k4 = planted_zones_s().get(name, (-20.0, -10.0, 10.0, 20.0))
    return [k1, k2, k3 * SHARES[0], k4 * SHARES[0]]


def main() -> None:
    """Run the selected measurements."""
    figures = {"paper": paper, "ablation": ablation, "grid": grid, "zones": zones}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", default=",".join(figures))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    places = Places(arguments.wyscout, arguments.work)
    for name in arguments.only.split(","):
        figures[name](places)


if __name__ == "__main__":
    main()
