"""Trial of a task that is a function: runs it up to its next report, in a thread of its own."""

import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hpo.space.space import Parameters
from hpo.tasks.base.printed import printed_to
from hpo.tasks.base.score import number_in
from hpo.tasks.base.working_folder import working_folder_kept
from model.training.outcomes import DivergedError, FailedError, Outcome, Validation, failure_of
from model.training.schedule import TrainingSchedule
from model.wording import counted, described

ObjectiveFunction = Callable[[dict[str, Any], int, "Reporter"], float | None]
"""Function ``(parameters, seed, report) -> score``; without a result, its last report is its score."""

_ROUNDING = 1e-6
"""Distance from [0, 1] that rounding explains: a mean of float32 ones may be 1.0000001."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConfig:
    """Settings of a trial."""

    parameters: Parameters
    """All hyperparameters."""
    seed: int
    schedule: TrainingSchedule
    """Number of epochs, and the interval of the validations."""


@dataclass(frozen=True, slots=True)
class _Reported:
    """Score after an epoch, with what the function needs to continue."""

    epoch: int
    score: float
    state: Any


class _Abandoned(BaseException):
    """Ends the function of a trial that nobody trains any more."""


class Reporter:
    """Third argument of the function of a trial.

    A function with several epochs calls it after each of them, as ``report(score, state)``. The trial can
    then be stopped early, and continues from ``state`` after an interruption:

        for epoch in range(report.epoch, report.epochs):
            ...
            report(score, state)
    """

    epochs: int
    """Number of epochs of a whole trial."""
    epoch: int
    """Number of finished epochs from which the function continues; 0 if no ``state`` was reported."""
    state: Any
    """Last ``state`` that was stored; None at the start."""

    def __init__(self, schedule: TrainingSchedule, finished: int, state: Any) -> None:
        self.epochs, self.state = schedule.epochs, state
        self.epoch = 0 if state is None else finished
        self._schedule, self._known, self._done = schedule, finished, self.epoch
        self._last: _Reported | None = None
        self._go: SimpleQueue[bool] = SimpleQueue()
        self._said: SimpleQueue[_Reported | BaseException] = SimpleQueue()

    def __call__(self, score: float, state: Any = None) -> None:
        """Report the validation score after an epoch.

        Args:
            score: Number in [0, 1]; higher is better.
            state: What the function needs to continue after this epoch: tensors, NumPy arrays, numbers,
                strings, and lists or dictionaries of these. None: an interrupted trial runs from its start.

        Raises:
            FailedError: The score or the state cannot be used, or there are more reports than epochs.
        """
        from model.training.checkpoint import plain  # torch takes a second to import

        if self._done >= self.epochs:
            raise FailedError(
                f"expected {counted(self.epochs, 'report')} at most, one for each epoch of this study: loop "
                "over range(report.epoch, report.epochs), and start a new study for other epochs "
                "(--epochs, or epochs of function_task)"
            )
        plain(state, "state")  # refuses what a checkpoint cannot hold here, where the user sees the line
        self._done += 1
        self._last = _Reported(self._done, checked_score(score), state)
        is_validated = self._schedule.next_validation(self._done - 1) == self._done
        if is_validated and self._known < self._done < self.epochs:
            self._pause(self._last)

    def _pause(self, reported: _Reported) -> None:
        """Pass a report on and wait; other trials train meanwhile, in a working folder of their own."""
        own_folder = os.open(".", os.O_RDONLY)
        try:
            self._said.put(reported)
            if not self._go.get():
                raise _Abandoned
            os.fchdir(own_folder)
        finally:
            os.close(own_folder)

    def run(self, function: ObjectiveFunction, config: FunctionConfig) -> None:
        """Call the function to its end; the score of its last epoch is what it returns."""
        try:
            returned = function(dict(config.parameters), config.seed, self)
            if returned is None and self._last is not None:
                score = self._last.score
            else:
                score = checked_score(returned, function=function)
            state = self.state if self._last is None else self._last.state
            self._said.put(_Reported(self.epochs, score, state))
        except _Abandoned:
            pass
        except BaseException as error:  # also SystemExit: the trial waits for an answer
            self._said.put(error)

    def wait(self) -> _Reported:
        """Return the next report.

        Raises:
            Exception: The function raised it.
        """
        said = self._said.get()
        if isinstance(said, _Reported):
            return said
        if isinstance(said, Exception):
            raise said
        raise FailedError(described(said)) from said

    def go_on(self) -> None:
        """Let the function continue after its report."""
        self._go.put(True)

    def abandon(self) -> None:
        """End the function at its report."""
        self._go.put(False)


class FunctionRun:
    """A trial of a function."""

    def __init__(self, function: ObjectiveFunction, config: FunctionConfig) -> None:
        """Create a trial that has not started."""
        self.config = config
        self.epoch = 0
        """Number of finished epochs."""
        self.kept: Any = None
        """State with which the function continues."""
        self.output: Path | None = None
        """File for what the function prints."""
        self._function = function
        self._reporter: Reporter | None = None

    def advance(self) -> float:
        """Run the function to its next report and return the score.

        Raises:
            Exception: The function raised it.
        """
        if self._reporter is None:
            self._reporter = self._started()
        else:
            self._reporter.go_on()
        reported = self._reporter.wait()
        self.epoch, self.kept = reported.epoch, reported.state
        return reported.score

    def state(self) -> dict[str, Any]:
        """Return everything to resume from."""
        return {"epoch": self.epoch, "kept": self.kept}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.epoch, self.kept = state["epoch"], state["kept"]

    def _started(self) -> Reporter:
        reporter = Reporter(self.config.schedule, self.epoch, self.kept)
        # The thread does not hold this trial: when nobody trains it any more, its function ends.
        weakref.finalize(self, reporter.abandon)
        threading.Thread(target=reporter.run, args=(self._function, self.config), daemon=True).start()
        return reporter


class FunctionArray:
    """Array that runs its trials one after the other."""

    def __init__(self, metric: str) -> None:
        """Create an array without slots, whose validations have the score under the name ``metric``."""
        self.slots: list[FunctionRun] = []
        self._metric = metric

    def advance(self) -> list[Outcome[FunctionRun]]:
        """Run every trial to its next report; remove those that fail."""
        outcomes = [Outcome(slot, self._result(slot)) for slot in self.slots]
        self.slots = [outcome.slot for outcome in outcomes if isinstance(outcome.result, Validation)]
        return outcomes

    def _result(self, slot: FunctionRun) -> Validation | FailedError:
        started = time.perf_counter()
        try:
            with printed_to(slot.output), working_folder_kept():
                score = slot.advance()
        except Exception as error:  # an error in one trial must not stop the others
            return failure_of(error)
        return Validation(slot.epoch, {self._metric: score}, time.perf_counter() - started)


def checked_score(score: object, *, function: Callable[..., Any] | None = None) -> float:
    """Return a score of the user as a number in [0, 1], also one that lies beside it by rounding only.

    Args:
        score: The score.
        function: Function that returned it. None: it was reported, and the traceback shows where.

    Raises:
        FailedError: It is no number, or lies outside [0, 1].
    """
    source = "" if function is None else f" from {_place(function)}"
    value = number_in(score)
    if value is None:
        raise FailedError(f"expected a score{source}, a number in [0, 1], got {type(score).__name__}")
    if not math.isfinite(value):
        raise DivergedError(f"expected a score{source}, a number in [0, 1], got {value}")
    inside = min(max(value, 0.0), 1.0)
    if abs(value - inside) > _ROUNDING:
        raise FailedError(
            f"expected a score{source} in [0, 1], where higher is better, got {value:.10g}; cut off what "
            "lies outside, such as max(0.0, r2), or turn an error into 1 / (1 + error)"
        )
    return inside


def _place(function: Callable[..., Any]) -> str:
    """Return where a function is defined, such as ``fit (ridge.py, line 12)``."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", "the function")
    return f"{name} ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code else name
