"""Searches that train trials epoch by epoch on ``benchmarks/replays/landscape.py``."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from replays.landscape import Array, Landscape

from hpo.space.space import Parameters


class Search(Protocol):
    """A search that trains trials epoch by epoch."""

    def start(self) -> "Running | None":
        """Return a trial to train, or None if running ones must end first."""

    def report(self, running: "Running", epoch: int, score: float) -> bool:
        """Take note of a validation, and return whether the trial goes on."""

    def end(self, running: "Running", score: float) -> None:
        """Take note of the end of a trial that trained all its epochs."""

    def winner(self) -> Parameters | None:
        """Return the configuration that the search would name now."""


@dataclass(eq=False)
class Running:
    """A trial in training."""

    parameters: Parameters
    replicate: int
    handle: object
    epoch: int = 0
    curve: Array = field(default_factory=lambda: np.zeros(0))


def play(
    search: Search, landscape: Landscape, *, at_a_time: int, budgets: Sequence[int], luck: int
) -> list[float]:
    """Return the true score of the winner after each of ``budgets``; all trials train equally fast.

    Searches with another ``luck`` get other noise in the trainings of the same points.
    """
    running: deque[Running] = deque()
    limits = [budget * landscape.epochs for budget in budgets]
    truths: list[float] = []
    for trained in range(1, limits[-1] + 1):
        while len(running) < at_a_time and (trial := search.start()):
            trial.curve = landscape.curve(trial.parameters, trial.replicate, luck)
            running.append(trial)
        trial = running.popleft()
        trial.epoch += 1
        goes_on = search.report(trial, trial.epoch, float(trial.curve[trial.epoch - 1]))
        if goes_on and trial.epoch == landscape.epochs:
            search.end(trial, float(trial.curve.max()))
        if goes_on and trial.epoch < landscape.epochs:
            running.append(trial)
        if trained in limits:
            winner = search.winner()
            truths.append(landscape.truth(winner) if winner else float("nan"))
    return truths
