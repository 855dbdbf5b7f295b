"""Optuna's studies, kept in memory and quiet."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.samplers import BaseSampler


@contextmanager
def quiet_study(sampler: BaseSampler | None = None) -> Iterator[optuna.Study]:
    """An empty study of scores to maximise; Optuna says nothing meanwhile and what it said before after."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
