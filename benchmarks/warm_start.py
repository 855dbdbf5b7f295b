"""Warm starts from related scores, without training.

    python benchmarks/warm_start.py [--table FILE] [--seeds 20]

A first search plays on ``benchmarks/replays/landscape.py`` with the first part of every training only,
as a study with fewer epochs. A second search, of whole trainings, starts from its scores, from scores that
say the opposite, or from nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from replays.landscape import Landscape, Trainings
from replays.search import play
from search_replay import Product, asha, landscape_of, quiet
from trainings import TABLE

from hpo.journal.ranking import half_width
from hpo.programs.estimates import ScoreEstimates
from hpo.search.searcher import ScoredPoint

FIRST_BUDGET = 10
"""Chunks of the first search, in its own whole trainings."""
SHARE = 0.3
"""Epochs of the first search, as a share of a whole training: that of 12 out of 40 epochs."""
BUDGETS = (2, 4, 8, 16)
"""Chunks of the second search after which the winner is asked for, in whole trainings."""
STARTS = ("nothing", "scores of fewer epochs", "scores that say the opposite")


@cache
def short_landscape(table: Path) -> Landscape:
    """Return a landscape of trainings that end early."""
    trainings = Trainings.read(table)
    epochs = round(SHARE * trainings.curves.shape[2])
    return Landscape(replace(trainings, curves=trainings.curves[:, :, :epochs]))


def related_points(table: Path, seed: int, *, opposite: bool) -> list[ScoredPoint]:
    """Play the first search and return its scores, as ``--warm-start`` takes them over."""
    landscape = short_landscape(table)
    search = Product("botorch", asha(landscape.epochs, grace=1), seed=1000 + seed)
    play(search, landscape, at_a_time=1, budgets=(FIRST_BUDGET,), luck=1000 + seed)
    model = ScoreEstimates("average_map")
    model.learn(search.trials)
    ended = [trial for trial in search.trials if trial.has_ended]
    pairs = [(trial.parameters, model.estimate(trial)) for trial in ended]
    estimates = [(parameters, estimate) for parameters, estimate in pairs if estimate is not None]
    top = max(estimate.score for _, estimate in estimates)
    return [
        ScoredPoint(
            dict(at), top - estimate.score if opposite else estimate.score, estimate.variance, is_related=True
        )
        for at, estimate in estimates
    ]


def one_run(start: str, seed: int, at_a_time: int, table: Path) -> list[float]:
    """Play the second search; returns the true scores of its winners."""
    quiet()
    known = [] if start == STARTS[0] else related_points(table, seed, opposite=start == STARTS[2])
    landscape = landscape_of(table)
    search = Product("botorch", asha(landscape.epochs), seed=seed, known=known)
    return play(search, landscape, at_a_time=at_a_time, budgets=BUDGETS, luck=seed)


def measure(at_a_time: int, seeds: Sequence[int], table: Path, pool: ProcessPoolExecutor) -> None:
    """Print a table with one row per start."""
    print(f"\n{at_a_time} at a time, {len(seeds)} seeds: true score of the winner, mean with 95 % interval\n")
    print("| start from | " + " | ".join(f"after {budget}" for budget in BUDGETS) + " |")
    print("|---" * (len(BUDGETS) + 1) + "|", flush=True)
    for start in STARTS:
        jobs = [pool.submit(one_run, start, seed, at_a_time, table) for seed in seeds]
        truths = np.array([job.result() for job in jobs])
        cells = [f"{np.mean(column):.4f} ± {half_width(column.tolist()) or 0.0:.4f}" for column in truths.T]
        print(f"| {start} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for at_a_time in arguments.at_a_time:
            measure(at_a_time, range(arguments.seeds), arguments.table, pool)


if __name__ == "__main__":
    sys.exit(main())
