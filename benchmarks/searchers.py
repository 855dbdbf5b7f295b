"""Comparison of searchers with Optuna's plain samplers and Ray Tune's OptunaSearch.

    python benchmarks/searchers.py [--seeds 10] [--only NAME ...]

Each searcher maximises three functions of whole and real numbers with values from 0 to 0.6, without noise and
with noise of 0.03 (the spread of Average-mAP over seeds), one trial and four trials at a time. The result is
the regret: the difference between the highest value and the true value of the point with the best score. The
tables show its median over seeds with quartiles, and the seconds per proposal. All searchers get the same
noise and use one thread.
"""

import argparse
import logging
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import optuna
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from ray.tune.search.optuna import OptunaSearch
from threadpoolctl import threadpool_limits

from hpo.search.build import build_searcher
from hpo.search.optuna_study import distribution
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Parameters, Space

BUDGETS = (25, 50)
HEIGHT = 0.6
NOISE = 0.03
BATCH = 4

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """Function to maximise, with the maximum ``HEIGHT`` on the unit cube."""

    name: str
    space: Space
    on_cube: Callable[[Array], float]

    def __call__(self, parameters: Parameters) -> float:
        """Return the true score, without noise."""
        return self.on_cube(self.space.to_unit(parameters))


CALF = Space(
    [
        IntParameter("f", 4, 64, log=True),
        FloatParameter("r_s", 10.0, 80.0, log=True),
        FloatParameter("alpha2", 0.5, 50.0, log=True),
        FloatParameter("beta", 0.05, 5.0, log=True),
        FloatParameter("lambda_seg", 0.05, 15.0, log=True),
    ]
)
"""Space of search_spaces/calf.toml."""
MIXED = Space(
    [
        FloatParameter("learning_rate", 1e-5, 1e-1, log=True),
        IntParameter("epochs", 10, 100),
        ChoiceParameter("batch_size", (8, 16, 32, 64)),
        FloatParameter("tau_max", 0.5, 1.0),
        FloatParameter("idle", 0.0, 1.0),
        IntParameter("idle_too", 1, 9),
    ]
)

_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(u: Array) -> float:
    """Evaluate the Hartmann function of six variables, the last one at its optimum: several local maxima."""
    distances = np.sum(_A * (np.append(u, 0.6573) - _P) ** 2, axis=1)
    return HEIGHT * float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-distances)) / 3.32237


def hill(u: Array) -> float:
    """Evaluate a function with one smooth maximum, steeper along some axes than along others."""
    steepness = np.array([1.5, 3.0, 0.3, 1.0, 2.5])
    return HEIGHT * math.exp(-steepness @ (u - np.array([0.5, 0.62, 0.45, 0.55, 0.6])) ** 2)


def ridge(u: Array) -> float:
    """Evaluate a narrow ridge oblique to two axes; two more axes matter and two are irrelevant."""
    rate, epochs, batch, tau = u[:4]
    across, along = rate + 0.8 * epochs - 0.9, rate - 0.35
    return HEIGHT * math.exp(
        -20 * across**2 - 3 * along**2 - 0.8 * (batch - 0.625) ** 2 - 2 * (tau - 0.8) ** 2
    )


FUNCTIONS = (
    Function("Hartmann", CALF, hartmann),
    Function("hill", CALF, hill),
    Function("ridge", MIXED, ridge),
)


class Contestant(Protocol):
    """Interface of searchers in this benchmark: propose points for named trials and learn their scores."""

    def ask(self, trial: str) -> Parameters | None:
        """Propose the parameters of a trial."""

    def tell(self, trial: str, score: float) -> None:
        """Record the score of a trial."""


class PlainOptuna:
    """Optuna's sampler as in its documentation: one study, ask and tell, parameters on their own scales."""

    def __init__(self, space: Space, sampler: BaseSampler) -> None:
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions = distributions(space)
        self._trials: dict[str, optuna.Trial] = {}

    def ask(self, trial: str) -> Parameters:
        """Propose the parameters of a trial."""
        self._trials[trial] = self._study.ask(self._distributions)
        return self._trials[trial].params

    def tell(self, trial: str, score: float) -> None:
        """Record the score of a trial."""
        self._study.tell(self._trials[trial], score)


class RayOptuna:
    """Ray Tune's OptunaSearch, called as Tune calls it."""

    def __init__(self, space: Space, seed: int) -> None:
        self._search = OptunaSearch(distributions(space), metric="score", mode="max", seed=seed)

    def ask(self, trial: str) -> Parameters:
        """Propose the parameters of a trial."""
        return dict(self._search.suggest(trial))

    def tell(self, trial: str, score: float) -> None:
        """Record the score of a trial."""
        self._search.on_trial_complete(trial, {"score": score})


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Convert a space to Optuna's distributions."""
    return {parameter.name: distribution(parameter) for parameter in space.parameters}


CONTESTANTS: dict[str, Callable[[Space, int], Contestant]] = {
    "random": lambda space, seed: build_searcher("random", space, seed=seed),
    "botorch": lambda space, seed: build_searcher("botorch", space, seed=seed),
    "bayes-opt": lambda space, seed: build_searcher("bayes-opt", space, seed=seed),
    "optuna-gp": lambda space, seed: build_searcher("optuna-gp", space, seed=seed),
    "optuna-tpe": lambda space, seed: build_searcher("optuna-tpe", space, seed=seed),
    "plain GPSampler": lambda space, seed: PlainOptuna(space, GPSampler(seed=seed)),
    "plain TPESampler": lambda space, seed: PlainOptuna(space, TPESampler(seed=seed)),
    "Ray OptunaSearch": lambda space, seed: RayOptuna(space, seed),
}


def regrets(
    contestant: Contestant, function: Function, *, noise: float, pending: int, seed: int
) -> list[float]:
    """Return the true regret of the point with the best score after each number of trials in ``BUDGETS``.

    ``pending`` trials run at a time.
    """
    errors = np.random.default_rng([seed, 1]).normal(0.0, noise, max(BUDGETS))
    true, seen = [], []
    running: deque[tuple[str, float]] = deque()
    for number in range(max(BUDGETS)):
        parameters = contestant.ask(f"t{number}")
        assert parameters is not None
        true.append(function(parameters))
        seen.append(true[-1] + errors[number])
        running.append((f"t{number}", seen[-1]))
        if len(running) == pending:
            contestant.tell(*running.popleft())
    return [HEIGHT - true[int(np.argmax(seen[:budget]))] for budget in BUDGETS]


def measure(names: Iterable[str], *, noise: float, pending: int, seeds: int) -> None:
    """Print a table with one row per searcher and one column per function and budget."""
    columns = [f"{function.name}, {budget}" for function in FUNCTIONS for budget in BUDGETS]
    print(f"\nnoise {noise:g}, {pending} at a time, {seeds} seeds\n")
    print("| searcher | " + " | ".join(columns) + " | s per proposal |")
    print("|---" * (len(columns) + 2) + "|", flush=True)
    for name in names:
        start = time.perf_counter()
        cells = []
        for function in FUNCTIONS:
            runs = [
                regrets(
                    CONTESTANTS[name](function.space, seed), function, noise=noise, pending=pending, seed=seed
                )
                for seed in range(seeds)
            ]
            cells += [
                "{1:.3f} ({0:.3f} to {2:.3f})".format(*quartiles)
                for quartiles in np.quantile(runs, (0.25, 0.5, 0.75), axis=0).T
            ]
        seconds = (time.perf_counter() - start) / (len(FUNCTIONS) * seeds * max(BUDGETS))
        print(f"| {name} | " + " | ".join(cells) + f" | {seconds:.2f} |", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        for noise, pending in ((0.0, 1), (NOISE, 1), (NOISE, BATCH)):
            measure(arguments.only, noise=noise, pending=pending, seeds=arguments.seeds)


if __name__ == "__main__":
    sys.exit(main())
