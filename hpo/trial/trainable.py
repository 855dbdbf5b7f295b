"""The trial as Ray Tune sees it."""

import math
import traceback
from pathlib import Path
from typing import Any

from ray import tune

from hpo.trial.run import TrialRun
from hpo.trial.task import TrialTask


class TrialTrainable(tune.Trainable):
    """Trains the task in its configuration, one validation a step.

    A trial keeps its own checkpoints (``TrialRun``), so that they are safe before a report leaves this
    process and need nothing of Tune to go on. What goes wrong inside is a result with a reason: the process
    lives on for the next trial.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take the task; the first step opens the data, where an error can be reported."""
        self._task = TrialTask.from_json(config["task"])
        self._threads = int(config["threads"])
        self._run: TrialRun | None = None

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        try:
            return self._step()
        except Exception as error:
            folder = Path(self._task.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "error.txt").write_text(traceback.format_exc())
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
            return {"failed": reason, "score": math.nan, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial: nothing of the old one is kept."""
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: the trial has saved itself already."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: the trial goes on from its own checkpoint."""

    def _step(self) -> dict[str, Any]:
        import torch

        if self._run is None:
            torch.set_num_threads(self._threads)
            self._run = TrialRun(self._task)
        report = self._run.advance()
        return {
            "epoch": report.epoch,
            # Pairs: Tune takes dictionaries inside a result apart for its scheduler, not for its callbacks.
            "metrics": list(report.metrics.items()),
            "train_s": report.train_s,
            "score": report.score,
            "finished": self._run.finished,
            "done": self._run.finished,
        }
