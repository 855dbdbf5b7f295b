"""Searches on a model of real trainings, without training.

    python benchmarks/search_replay.py [--table FILE] [--seeds 20] [--at-a-time 1 4 16] [--only NAME ...]
        [--start own|random|nothing]

Every searcher and scheduler plays on ``replays/landscape.py``, a model of benchmarks/trainings.csv.gz,
with chunks for 50 whole trainings. What it would name as its winner after 10, 25 and 50 of them is judged by
its true score, the mean over seeds. The peers are used as their documentation shows. All of them try the same
configuration first: that of calf's study file, a random one, or none. As long as no training has ended, the
winner is that of the highest score so far.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.samplers import GPSampler, TPESampler
from replays.landscape import Array, Landscape, Trainings, held_out
from replays.peers import PlainOptuna, SyneTune
from replays.search import Running, Search, play
from scipy.stats import spearmanr
from trainings import SPACE, TABLE

from hpo.journal.events import TrialReported
from hpo.journal.ranking import half_width
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.programs.program import Answer, best_choice
from hpo.programs.search import SearchProgram
from hpo.schedule.asha import AshaRule
from hpo.schedule.rule import StoppingRule
from hpo.schedule.stopping import NeverStop
from hpo.search.build import build_searcher
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.tasks.calf.sections import Hyperparameters

BUDGETS = (10, 25, 50)
"""Chunks after which the winner is asked for, in whole trainings."""
FIRST = 100
"""First seed; those below it served to choose between models while the searches were made."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Product:
    """A search of this project: its program, searcher and stopping rule."""

    def __init__(
        self,
        searcher: str,
        rule: StoppingRule,
        *,
        seed: int,
        replicates: int = 1,
        race: float | None = None,
        by_score: bool = False,
        start: Parameters | None = None,
        guesses: bool = True,
        known: Sequence[ScoredPoint] = (),
    ) -> None:
        """Begin.

        Args:
            searcher: Name of the searcher.
            rule: Rule that stops trials.
            seed: Seed of the search.
            replicates: Maximum number of seeds per point.
            race: See ``SearchProgram``.
            by_score: The highest score wins, not the highest expected one.
            start: Point to try first.
            guesses: Whether the best point is expected near ``start``.
            known: See ``build_searcher``.
        """
        first, guess = [start] if start else [], start if guesses else None
        built = build_searcher(searcher, SPACE, seed=seed, first=first, guess=guess, known=known)
        self._program = SearchProgram(
            built, points=10_000, replicates=replicates, metric="average_map", race=race
        )
        self._rule, self._by_score = rule, by_score
        self.trials: list[TrialState] = []
        """All trials so far."""

    def start(self) -> Running | None:
        """Return the program's next trial."""
        proposal = self._program.next(self.trials)
        if isinstance(proposal, Answer):
            return None
        trial = TrialState(
            trial=f"t{len(self.trials)}",
            stage="bayes",
            parameters=proposal.parameters,
            seed=proposal.replicate,
            replicate=proposal.replicate,
            role="",
            asked_at=NOON,
            status=TrialStatus.RUNNING,
        )
        self.trials.append(trial)
        return Running(proposal.parameters, proposal.replicate, trial)

    def report(self, running: Running, epoch: int, score: float) -> bool:
        """Ask the stopping rule."""
        trial = running.handle
        assert isinstance(trial, TrialState)
        trial.reports[epoch] = TrialReported(
            trial=trial.trial, epoch=epoch, metrics={"average_map": score}, train_s=1.0
        )
        trial.score = max(trial.score or 0.0, score)
        if self._rule.should_stop(trial.trial, epoch, score):
            trial.status = TrialStatus.STOPPED
        return trial.status is TrialStatus.RUNNING

    def end(self, running: Running, score: float) -> None:
        """Finish the trial."""
        trial = running.handle
        assert isinstance(trial, TrialState)
        trial.status = TrialStatus.FINISHED

    def winner(self) -> Parameters | None:
        """Return what the stage would choose."""
        choice = best_choice(self.trials) if self._by_score else self._program.choice(self.trials)
        return choice.parameters if choice else None


Make = Callable[[int, int, Parameters | None], Search]
"""(seed, epochs, point to try first) -> search."""


def asha(epochs: int, *, grace: int = 2, factor: float = 4.0) -> StoppingRule:
    """Make the rule with this project's defaults."""
    return AshaRule(epochs=epochs, grace=grace, reduction_factor=factor)


def syne_tune(name: str) -> Make:
    """Make a search by a class of ``syne_tune.optimizer.baselines``."""

    def make(seed: int, epochs: int, start: Parameters | None) -> Search:
        from syne_tune.optimizer import baselines

        rungs = {"time_attr": "epoch", "max_t": epochs} if name == "BOHB" else {}
        return SyneTune(getattr(baselines, name), seed=seed, start=start, **rungs)

    return make


CONTESTANTS: dict[str, Make] = {
    "botorch, asha": lambda seed, epochs, start: Product("botorch", asha(epochs), seed=seed, start=start),
    "bayes-opt, highest score": lambda seed, epochs, start: Product(
        "bayes-opt", NeverStop(), seed=seed, start=start, by_score=True
    ),
    "random": lambda seed, epochs, start: Product("random", NeverStop(), seed=seed, start=start),
    "random, asha": lambda seed, epochs, start: Product("random", asha(epochs), seed=seed, start=start),
    "bayes-opt": lambda seed, epochs, start: Product("bayes-opt", NeverStop(), seed=seed, start=start),
    "bayes-opt, asha": lambda seed, epochs, start: Product("bayes-opt", asha(epochs), seed=seed, start=start),
    "botorch": lambda seed, epochs, start: Product("botorch", NeverStop(), seed=seed, start=start),
    "botorch, asha, without a guess": lambda seed, epochs, start: Product(
        "botorch", asha(epochs), seed=seed, start=start, guesses=False
    ),
    "botorch, asha, race 3": lambda seed, epochs, start: Product(
        "botorch", asha(epochs), seed=seed, start=start, replicates=3, race=4
    ),
    "Optuna TPE": lambda seed, epochs, start: PlainOptuna(
        TPESampler(seed=seed), seed=seed, epochs=epochs, prunes=False, start=start
    ),
    "Optuna GP": lambda seed, epochs, start: PlainOptuna(
        GPSampler(seed=seed), seed=seed, epochs=epochs, prunes=False, start=start
    ),
    "Optuna TPE, Hyperband": lambda seed, epochs, start: PlainOptuna(
        TPESampler(seed=seed), seed=seed, epochs=epochs, prunes=True, start=start
    ),
    "Optuna GP, Hyperband": lambda seed, epochs, start: PlainOptuna(
        GPSampler(seed=seed), seed=seed, epochs=epochs, prunes=True, start=start
    ),
    "Syne Tune BOHB": syne_tune("BOHB"),
    "Syne Tune BoTorch": syne_tune("BOTorch"),
}


@cache
def landscape_of(table: Path) -> Landscape:
    """Return the landscape of a table, made once a process."""
    return Landscape(Trainings.read(table))


def start_of(kind: str, seed: int) -> Parameters | None:
    """Return the point that a search tries first."""
    own = Hyperparameters().model_dump()
    points = {
        "own": {name: own[name] for name in SPACE.names},
        "random": SPACE.from_unit(np.random.default_rng([seed, 1]).random(SPACE.dimensions)),
    }
    return points.get(kind)


def one_run(name: str, seed: int, at_a_time: int, kind: str, table: Path) -> tuple[list[float], float]:
    """Play one search; returns the true scores of its winners and the seconds that it took."""
    quiet()
    landscape, started = landscape_of(table), time.perf_counter()
    search = CONTESTANTS[name](seed, landscape.epochs, start_of(kind, seed))
    truths = play(search, landscape, at_a_time=at_a_time, budgets=BUDGETS, luck=seed)
    return truths, time.perf_counter() - started


def quiet() -> None:
    """Use one thread, and log errors only."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def measure(
    names: Sequence[str], at_a_time: int, seeds: int, kind: str, table: Path, pool: ProcessPoolExecutor
) -> None:
    """Print a table with one row per search, each also beside the first one, seed by seed."""
    columns = [f"after {budget}" for budget in BUDGETS]
    print(
        f"\n{at_a_time} at a time, {seeds} seeds, from {kind}: true score of the winner, with 95 % interval,"
    )
    print(f"and the difference from that of {names[0]}\n")
    print("| search | " + " | ".join(columns) + " | " + " | ".join(columns) + " | seconds a search |")
    print("|---" * (2 * len(columns) + 2) + "|", flush=True)
    first: Array | None = None
    for name in names:
        jobs = [
            pool.submit(one_run, name, seed, at_a_time, kind, table) for seed in range(FIRST, FIRST + seeds)
        ]
        runs = [job.result() for job in jobs]
        truths = np.array([truths for truths, _ in runs])
        first = truths if first is None else first
        cells = [f"{np.mean(column):.4f} ± {_half(column):.4f}" for column in truths.T]
        cells += [f"{np.mean(column):+.4f} ± {_half(column):.4f}" for column in (truths - first).T]
        print(f"| {name} | " + " | ".join(cells) + f" | {np.mean([s for _, s in runs]):.0f} |", flush=True)


def _half(values: Array) -> float:
    return half_width(values.tolist()) or 0.0


def describe(table: Path) -> None:
    """Print how true the model is, and what can be reached on it."""
    trainings = Trainings.read(table)
    left_out = held_out(trainings)
    error = float(np.sqrt(np.mean((left_out["predicted"] - left_out["recorded"]) ** 2)))
    points, seeds, epochs = trainings.curves.shape
    print(f"{points} points, {seeds} seeds, {epochs} validations")
    print(
        f"scores of the points: {left_out['recorded'].mean():.4f}, deviation {left_out['recorded'].std():.4f}"
    )
    print(f"deviation between the seeds of a point: {np.sqrt(np.mean(left_out['deviation'] ** 2)):.4f}")
    correlation = left_out["predicted"].corr(left_out["recorded"])
    print(f"points left out: error {error:.4f}, correlation {correlation:.2f}")
    print(f"part of the noise that the seeds of all points share: {shared_noise(trainings):.0%}")
    for epoch in (1, 2, 4, 8, 12, epochs):
        print(f"rank correlation of a seed after epoch {epoch} with other seeds at the end: ", end="")
        print(f"{early_ranks(trainings, epoch):.2f}")
    landscape = landscape_of(table)
    random = np.random.default_rng(0).random((2000, SPACE.dimensions))
    own = start_of("own", 0)
    assert own
    print(f"the study file's own point: {landscape.truth(own):.4f}")
    truths = sorted(landscape.truth(SPACE.from_unit(point)) for point in random)
    print(f"2000 random points: median {truths[1000]:.4f}, 99 % {truths[1980]:.4f}, best {truths[-1]:.4f}")


def shared_noise(trainings: Trainings) -> float:
    """Return the share of the variance between seeds that is common to all points."""
    scores = trainings.curves.max(axis=2)
    within = scores - scores.mean(axis=1, keepdims=True)
    points, seeds = scores.shape
    variance = float((within**2).sum()) / (points * (seeds - 1))
    common = float((within.mean(axis=0) ** 2).sum()) / (seeds - 1)
    return max(0.0, (common - variance / points) / variance)


def early_ranks(trainings: Trainings, epoch: int) -> float:
    """Return Spearman's correlation of best scores up to ``epoch`` with the mean end of the other seeds."""
    early, ends = trainings.curves[:, :, :epoch].max(axis=2), trainings.curves.max(axis=2)
    seeds = ends.shape[1]
    others = [np.delete(ends, seed, axis=1).mean(axis=1) for seed in range(seeds)]
    return float(np.mean([spearmanr(early[:, seed], others[seed])[0] for seed in range(seeds)]))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--start", choices=["own", "random", "nothing"], default="own")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    quiet()
    describe(arguments.table)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for at_a_time in arguments.at_a_time:
            measure(arguments.only, at_a_time, arguments.seeds, arguments.start, arguments.table, pool)


if __name__ == "__main__":
    sys.exit(main())
