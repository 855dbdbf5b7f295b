"""Searches of other projects, used as their documentation shows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from replays.search import Running
from trainings import SPACE

from hpo.search.optuna_study import distribution
from hpo.space.parameters import IntParameter
from hpo.space.space import Parameters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class PlainOptuna:
    """Optuna as in its documentation: suggest, report, should_prune, tell.

    Args:
        sampler: Proposes the points.
        seed: Seed of the search. Hyperband derives a trial's bracket from the name of the study.
        epochs: Epochs of a whole training.
        prunes: Whether Hyperband stops trials.
        start: Point to try first.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        *,
        seed: int,
        epochs: int,
        prunes: bool,
        start: Parameters | None = None,
    ) -> None:
        pruner = (
            HyperbandPruner(min_resource=1, max_resource=epochs) if prunes else optuna.pruners.NopPruner()
        )
        self._study = optuna.create_study(
            study_name=f"replay-{seed}", direction="maximize", sampler=sampler, pruner=pruner
        )
        self._axes = {parameter.name: distribution(parameter) for parameter in SPACE.searched}
        self._best: dict[int, float] = {}
        if start:
            self._study.enqueue_trial(start)

    def start(self) -> Running:
        """Ask for a trial."""
        trial = self._study.ask(self._axes)
        return Running(dict(trial.params), 0, trial)

    def report(self, running: Running, epoch: int, score: float) -> bool:
        """Report the best score so far, which is what the search maximises."""
        trial = running.handle
        assert isinstance(trial, optuna.Trial)
        best = self._best[trial.number] = max(score, self._best.get(trial.number, 0.0))
        trial.report(best, epoch)
        if not trial.should_prune():
            return True
        self._study.tell(trial, state=TrialState.PRUNED)
        return False

    def end(self, running: Running, score: float) -> None:
        """Tell the score."""
        trial = running.handle
        assert isinstance(trial, optuna.Trial)
        self._study.tell(trial, score)

    def winner(self) -> Parameters | None:
        """Return the parameters of its ``best_trial``, or of the best trial so far while none is complete."""
        trials = self._study.trials
        complete = [trial.number for trial in trials if trial.state is TrialState.COMPLETE]
        best = max(complete or self._best, key=self._best.__getitem__, default=None)
        return None if best is None else trials[best].params


class SyneTune:
    """Syne Tune's schedulers: suggest, on_trial_add, on_trial_result, on_trial_complete.

    Its package is not among those of this project: ``pip install syne-tune statsmodels`` (0.16). MOBSTER and
    DyHPO are no longer part of it. It also draws from NumPy's global generator, which its seed does not set.

    Args:
        scheduler: A class of ``syne_tune.optimizer.baselines``, such as ``BOHB``.
        seed: Seed of the search.
        start: Point to try first.
        options: Other arguments of the class.
    """

    def __init__(
        self, scheduler: Callable[..., Any], *, seed: int, start: Parameters | None = None, **options: Any
    ) -> None:
        from syne_tune.config_space import lograndint, loguniform

        np.random.seed(seed)
        space = {
            parameter.name: (lograndint if isinstance(parameter, IntParameter) else loguniform)(
                parameter.low, parameter.high
            )
            for parameter in SPACE.searched
        }
        self._scheduler = scheduler(
            space,
            metric="average_map",
            do_minimize=False,
            random_seed=seed,
            points_to_evaluate=[dict(start)] if start else None,
            **options,
        )
        self._trials = 0
        self._best: dict[int, float] = {}
        self._parameters: dict[int, Parameters] = {}

    def start(self) -> Running:
        """Ask for a trial."""
        from syne_tune.backend.trial_status import Trial

        parameters = self._scheduler.suggest().config
        trial = Trial(self._trials, parameters, NOON)
        self._parameters[self._trials] = dict(parameters)
        self._trials += 1
        self._scheduler.on_trial_add(trial)
        return Running(dict(parameters), 0, trial)

    def report(self, running: Running, epoch: int, score: float) -> bool:
        """Report the best score so far, which is what the search maximises."""
        trial: Any = running.handle
        best = self._best[trial.trial_id] = max(score, self._best.get(trial.trial_id, 0.0))
        decision = self._scheduler.on_trial_result(trial, {"average_map": best, "epoch": epoch})
        return bool(decision == "CONTINUE") or epoch == len(running.curve)

    def end(self, running: Running, score: float) -> None:
        """Complete the trial."""
        trial: Any = running.handle
        result = {"average_map": score, "epoch": len(running.curve)}
        self._scheduler.on_trial_complete(trial, result)

    def winner(self) -> Parameters | None:
        """Return the parameters of the best result, as its ``best_config`` does."""
        best = max(self._best, key=self._best.__getitem__, default=None)
        return None if best is None else self._parameters[best]
