"""State of a stage."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hpo.journal.events import BudgetEnded, GainEstimated, StageExtended, StageFinished, Value

UNLIKELY = 5
"""Number of estimates in a row, all below the noise, after which further trials are not expected to gain."""
_WITHOUT_EFFECT = ("stop_when", "hours", "concurrent", "array")
"""Settings of a search that only decide how long it goes on, and how many trials run at a time."""


def is_same_search(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a search proposes the same trials with other settings, as far as it goes on."""
    first, second = (
        {name: value for name, value in settings.items() if name not in _WITHOUT_EFFECT}
        for settings in (before, after)
    )
    # What was read from a journal has lists where new settings have tuples.
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


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
    ended_before_gain: int = 0
    """Number of trials that had ended when it was made."""
    unlikely: int = 0
    """Number of estimates in a row, up to the latest one, that are below the noise between seeds."""
    earlier: Mapping[str, "StageState"] = field(default_factory=dict)
    """Stages that had chosen a configuration when this one started, by name, as they were then; empty if it
    started from none of their choices, as a search does, or was given another configuration."""
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

    def extend(self, event: StageExtended, ran_s: float, *, before: Mapping[str, Any]) -> None:
        """Record that the stage gets more trials or other settings.

        Args:
            event: The request.
            ran_s: Running time of the study in seconds.
            before: Settings that the stage had.
        """
        space = event.space or self.space
        is_same = is_same_search({**before, "space": self.space}, {**event.settings, "space": space})
        self.reopen(ran_s)
        self.trials, self.space = event.trials, space
        if not is_same:
            self.gain, self.unlikely = None, 0

    def reopen(self, ran_s: float) -> None:
        """Forget the end of the stage; ``ran_s`` is the running time of the study in seconds.

        What further trials bring stays known, so that a search which the rule has ended trains no new ones.
        """
        if self.finished_at is not None:
            self.began_s = ran_s - self.used_s
        self.over, self.cut_short = None, ""
        self.finished_at = None
        self.best_trial, self.chosen, self.role = None, {}, ""

    def estimate_gain(self, event: GainEstimated, *, ended: int) -> bool:
        """Record an estimate of what further trials bring, and return whether it is new.

        Args:
            event: The estimate.
            ended: Number of trials that have ended.
        """
        if self.gain and self.gain.proposed == event.proposed:
            return False
        self.gain, self.ended_before_gain = event, ended
        self.unlikely = self.unlikely + 1 if event.gain < event.noise else 0
        return True
