"""Loading of networks that MLflow's registry holds, for ``mlflow.pyfunc.load_model``.

Registered models name this module as their loader, so it keeps its name and its function ``_load_pyfunc``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NETWORK = "best.pt"
"""File of a registered model with the network, as the task's ``save_network`` wrote it."""
ORIGIN = "origin.json"
"""File of a registered model with the task, the study and the trial of its network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Input and output of a task's networks: float32 features (any number, ``dims``), a table of columns."""

    dims: int
    """Length of the feature vectors."""
    columns: Mapping[str, Literal["double", "long", "string"]]
    """Column of the output -> its type, as MLflow names it."""


class RegisteredNetwork:
    """Network with the method that MLflow calls."""

    def __init__(self, folder: Path) -> None:
        """Load the network in ``folder``.

        Raises:
            UserError: The task cannot be imported, or the file does not contain a network.
        """
        from hpo.tasks.base.registry import task_named  # imports this module

        self._task = task_named(json.loads((folder / ORIGIN).read_text())["task"])
        self.network = self._task.load_network(folder / NETWORK)
        """The network, as the ``load_network`` of its task returned it."""

    def predict(self, features: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the predictions for the features of one item; there are no ``params``."""
        return self._task.predict(self.network, features)


def _load_pyfunc(path: str) -> RegisteredNetwork:
    """Load the network in a folder of a registered model; MLflow calls this function by its name."""
    return RegisteredNetwork(Path(path))
