"""Searchers that use Optuna's samplers: a tree of Parzen estimators (TPE) and a Gaussian process (GP)."""

from collections.abc import Callable, Iterable
from typing import Any, TypeGuard

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has neither types nor stubs

from hpo.search.model_based import POINTS_SEEN, ModelSearcher
from hpo.search.observations import running_points, scores_by_point
from hpo.search.optuna_study import distribution, quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import ChoiceParameter, Parameter
from hpo.space.space import Parameters, Space

INITIAL_POINTS = 10
"""Number of points before the sampler proposes. 10 is Optuna's default; 5 was worse on noisy scores
(benchmarks/RESULTS.md, "Searchers")."""

NewSampler = Callable[[int], BaseSampler]
"""Function that makes a sampler from a seed below 2**32."""


def tpe_sampler(seed: int) -> TPESampler:
    """Make a TPE sampler: one joint density for good points and one for the others.

    The sampler models all parameters jointly and treats a running trial as a bad one.
    """
    return TPESampler(seed=seed, n_startup_trials=2)


def gp_sampler(seed: int) -> GPSampler:
    """Make a GP sampler with a length scale per parameter and fitted noise.

    Its acquisition function is the expected improvement, given the running trials.
    """
    return GPSampler(seed=seed, n_startup_trials=2)


class OptunaSearcher(ModelSearcher):
    """Searcher that uses one of Optuna's samplers.

    Args:
        space: What to search.
        seed: Seed of every random draw, 0 or above.
        first: Points to propose before any other.
        known: Scores of earlier trials of the same space.
        sampler: Function that makes the sampler for a proposal.
    """

    initial_points = INITIAL_POINTS

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        first: Iterable[Parameters] = (),
        known: Iterable[ScoredPoint] = (),
        sampler: NewSampler,
    ) -> None:
        super().__init__(space, seed=seed, first=first, known=known)
        self._sampler = sampler
        self._distributions = {parameter.name: _distribution(parameter) for parameter in space.searched}

    def suggest(self, number: int) -> Parameters:
        """Return the sampler's proposal, given an Optuna study of all scores and running trials."""
        scores = scores_by_point(self.observed, limit=POINTS_SEEN)
        # One thread: the same bits whatever the number of cores, and the cores belong to the trials.
        with threadpool_limits(limits=1), quiet_study(self._sampler(self.seed_of(number))) as study:
            for point, score in scores.items():
                study.add_trial(self._trial(point, value=score))
            for point in running_points(self.observed):
                study.add_trial(self._trial(point, state=TrialState.RUNNING))
            return self._suggested(study.ask())

    def _suggested(self, trial: Trial) -> Parameters:
        """Ask for the value of each parameter, of one with a condition only if the condition holds."""
        chosen: Parameters = {}
        unconditional_first = sorted(self.space.parameters, key=lambda parameter: bool(parameter.when))
        for parameter in unconditional_first:
            if any(chosen[name] != value for name, value in parameter.when):
                continue
            if parameter.is_fixed:
                chosen[parameter.name] = parameter.from_axes([])
            else:
                number = _suggest(trial, parameter.name, self._distributions[parameter.name])
                chosen[parameter.name] = _value(parameter, number)
        return {name: chosen[name] for name in self.space.names if name in chosen}

    def _trial(self, point: tuple[float, ...], **outcome: Any) -> FrozenTrial:
        parameters = self.space.from_unit(np.array(point))
        numbers = {
            parameter.name: _number(parameter, parameters[parameter.name])
            for parameter in self.space.searched
            if parameter.name in parameters
        }
        distributions = {name: self._distributions[name] for name in numbers}
        return create_trial(params=numbers, distributions=distributions, **outcome)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case IntDistribution(low=low, high=high, log=log):
            return trial.suggest_int(name, low, high, log=log)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"unknown distribution {distribution}")


def _is_ordered(parameter: Parameter) -> TypeGuard[ChoiceParameter]:
    return isinstance(parameter, ChoiceParameter) and not parameter.is_text


def _distribution(parameter: Parameter) -> BaseDistribution:
    if _is_ordered(parameter):
        return IntDistribution(0, len(parameter.choices) - 1)  # in the order given: neighbours are similar
    return distribution(parameter)


def _number(parameter: Parameter, value: Any) -> Any:
    return parameter.choices.index(value) if _is_ordered(parameter) else value


def _value(parameter: Parameter, number: Any) -> Any:
    return parameter.choices[number] if _is_ordered(parameter) else number
