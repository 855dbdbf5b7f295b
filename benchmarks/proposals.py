"""Seconds of the processor for proposals of ``botorch``, with many scores and many running trials.

    python benchmarks/proposals.py [--observed 50 200] [--running 0 15 63]

Prints the seconds of one fit, and of one proposal while so many trials run. The scores are a hill with noise.
"""

import argparse
import math
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs
from trainings import SPACE

from hpo.search.botorch_searcher import BoTorchSearcher
from hpo.search.design import quasi_random_points
from hpo.search.fidelities import SeedCurve
from hpo.search.noisy_process import fit_process
from hpo.search.observations import observations
from hpo.space.space import Parameters

TOP = {"f": 16, "r_s": 40.0, "alpha2": 5.0, "beta": 0.5, "lambda_seg": 1.5}
NOISE = 0.02
REPEATS = 5


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--observed", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--running", type=int, nargs="+", default=[0, 15, 63])
    words = parser.parse_args()
    print("| scores | fit | " + " | ".join(f"proposal, {count} running" for count in words.running) + " |")
    for observed in words.observed:
        searcher = searcher_with(observed)
        fit_s = seconds(lambda searcher=searcher: fit(searcher))  # type: ignore[misc]
        cells = [f"{proposal_s(searcher, count):.3f} s" for count in words.running]
        print(f"| {observed} | {fit_s:.3f} s | " + " | ".join(cells) + " |", flush=True)


def searcher_with(observed: int) -> BoTorchSearcher:
    """Return a searcher that knows so many scores."""
    searcher, random = BoTorchSearcher(SPACE, seed=0, guess=TOP), np.random.default_rng(0)
    for number, point in enumerate(quasi_random_points(SPACE.dimensions, seed=9, count=observed)):
        parameters = SPACE.from_unit(point)
        searcher.replay(f"ended-{number}", parameters)
        score = hill(parameters) + float(random.normal(scale=NOISE))
        searcher.tell(f"ended-{number}", score)
        curve = {epoch: score * epoch / 16 + float(random.normal(scale=NOISE)) for epoch in (2, 8, 16)}
        is_whole, last = number % 8 == 0, 8 if number % 4 == 0 else 2  # as ``asha`` stops them
        shown = curve if is_whole else {epoch: curve[epoch] for epoch in curve if epoch <= last}
        searcher.record_curves(
            f"ended-{number}", (SeedCurve(shown, end=score if is_whole else None, is_stopped=not is_whole),)
        )
    return searcher


def hill(parameters: Parameters) -> float:
    """Return a score that falls with the distance from the top, in logarithms."""
    distance = sum(math.log(float(parameters[name]) / best) ** 2 for name, best in TOP.items())
    return 0.15 * math.exp(-distance / 10)


def fit(searcher: BoTorchSearcher) -> None:
    """Fit the model of the searcher anew."""
    with threadpool_limits(limits=1):
        fit_process(observations(searcher.observed, limit=200), noise=NOISE)


def proposal_s(searcher: BoTorchSearcher, running: int) -> float:
    """Let so many trials run besides those that do already, and time one proposal with a fitted model."""
    while sum(trial.score is None for trial in searcher.trials.values()) < running:
        searcher.ask(f"running-{len(searcher.trials)}")
    searcher.propose(len(searcher.trials))  # fits the model
    return seconds(lambda: searcher.propose(len(searcher.trials)))


def seconds(call: Callable[[], object]) -> float:
    """Return the median seconds of the processor of a call."""
    taken = []
    for _ in range(REPEATS):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return median(taken)


if __name__ == "__main__":
    main()
