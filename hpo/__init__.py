"""Hyperparameter optimisation for temporal action spotting, from Python as from the command line.

``hpo.run`` runs a study and returns it, ``hpo.plan`` says what it would do, ``hpo.open_study`` opens one,
``hpo.list_studies`` lists all, and ``hpo.spot`` applies a trained network to a game. ``hpo.function_task``
makes a task of a function of your own. Errors that a user can fix are ``hpo.UserError``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.api.callbacks import Callback
    from hpo.api.functions import Spot, list_studies, open_study, plan, run, spot
    from hpo.api.planned import Plan, PlannedStage
    from hpo.api.study import Best, Study
    from hpo.journal import events
    from hpo.tasks.base.function_task import function_task
    from model.errors import ConfigError, DataError, StorageError, UserError

__version__ = "0.3.0"

_HOMES = {
    "hpo.api.callbacks": ("Callback",),
    "hpo.api.functions": ("Spot", "list_studies", "open_study", "plan", "run", "spot"),
    "hpo.api.planned": ("Plan", "PlannedStage"),
    "hpo.api.study": ("Best", "Study"),
    "hpo.tasks.base.function_task": ("function_task",),
    "model.errors": ("ConfigError", "DataError", "StorageError", "UserError"),
}
"""Module -> names that are imported from it when they are first used: torch, Ray and MLflow take seconds."""

__all__ = [
    "Best",
    "Callback",
    "ConfigError",
    "DataError",
    "Plan",
    "PlannedStage",
    "Spot",
    "StorageError",
    "Study",
    "UserError",
    "events",
    "function_task",
    "list_studies",
    "open_study",
    "plan",
    "run",
    "spot",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "events":
        return import_module("hpo.journal.events")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'hpo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
