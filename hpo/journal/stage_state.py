"""State of a stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hpo.journal.events import BudgetEnded, GainEstimated, StageExtended, StageFinished, Value

UNLIKELY = 5
"""Number of estimates in a row, all below the noise, after which further trials are not expected to gain."""


@dataclass(slots=True, kw_only=True)
class StageState:
    """State of a stage."""

    stage: str
    """Name of the stage."""
    space: Mapping[str, Any]
    """Hyperparameters that it varies, with a description of how."""
    trials: int
    """Maximum number of trials."""
    epochs: int
    """Epochs per trial."""
    start: Mapping[str, Value]
    """Configuration that it starts from; empty for a search."""
    started_at: datetime
    """Time of its first start."""
    finished_at: datetime | None = None
    """Time of its end; None before."""
    best_trial: str | None = None
    """Best trial with the chosen configuration; None before the end, and if no trial has a score."""
    chosen: Mapping[str, Value] = field(default_factory=dict)
    """Configuration that it passes on to the next stage; empty before the end."""
    role: str = ""
    """Role of the trials with the chosen configuration."""
    over: BudgetEnded | None = None
    """End of the budget before the end of the stage; None while there is time."""
    cut_short: str = ""
    """Budget, in words, with which the stage is to end because other stages wait for it; empty otherwise."""
    gain: GainEstimated | None = None
    """Latest estimate of what further trials bring; None before the first one."""
    unlikely: int = 0
    """Number of estimates in a row, up to the latest one, that are below the noise between seeds."""
    stood_on: "StageState | None" = None
    """Search whose choice the stage started from, as it was then; None unless it got more trials later."""
    began_s: float = 0.0
    """Running time of the study, in seconds, at which the stage would have begun without the stages that ran
    between its parts."""
    used_s: float = 0.0
    """Running time of the stage when it finished, in seconds."""

    def finish(self, event: StageFinished, ran_s: float) -> None:
        """Record the result; ``ran_s`` is the running time of the study in seconds."""
        self.used_s = ran_s - self.began_s
        self.finished_at, self.best_trial = event.at, event.best_trial or None
        self.chosen, self.role = event.chosen, event.role

    def extend(self, event: StageExtended, ran_s: float) -> None:
        """Record that the stage gets more trials; ``ran_s`` is the running time of the study in seconds."""
        self.reopen(ran_s)
        self.trials, self.space = event.trials, event.space or self.space

    def reopen(self, ran_s: float) -> None:
        """Forget the end of the stage; ``ran_s`` is the running time of the study in seconds."""
        if self.finished_at is not None:
            self.began_s = ran_s - self.used_s
        self.over, self.cut_short = None, ""
        self.gain, self.unlikely = None, 0
        self.finished_at = None
        self.best_trial, self.chosen, self.role = None, {}, ""

    def estimate_gain(self, event: GainEstimated) -> bool:
        """Record an estimate of what further trials bring, and return whether it is new."""
        if self.gain and self.gain.proposed == event.proposed:
            return False
        self.gain = event
        self.unlikely = self.unlikely + 1 if event.gain < event.noise else 0
        return True
