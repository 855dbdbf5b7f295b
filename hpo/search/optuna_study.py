"""In-memory Optuna studies without log messages."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.samplers import BaseSampler


@contextmanager
def quiet_study(sampler: BaseSampler | None = None) -> Iterator[optuna.Study]:
    """Yield an empty Optuna study that maximises; Optuna logs only errors inside the context."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
