"""In-memory Optuna studies without log messages, and parameters as Optuna describes them."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler

from hpo.space.parameters import ChoiceParameter, FloatParameter, Parameter


@contextmanager
def quiet_study(sampler: BaseSampler | None = None) -> Iterator[optuna.Study]:
    """Yield an empty Optuna study that maximises; Optuna logs only errors inside the context."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return what Optuna calls a parameter, with its bounds and scale."""
    if isinstance(parameter, ChoiceParameter):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, FloatParameter):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return IntDistribution(parameter.low, parameter.high, log=parameter.log)
