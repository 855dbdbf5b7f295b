"""Trials that are trained together in one process; each is asked for by its own caller."""

import contextlib
import math
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hpo.tasks.base.registry import AnyTask, task_named
from hpo.tasks.base.task import Array
from hpo.trial.report import Report
from hpo.trial.run import TrialRun
from hpo.trial.specification import TrialSpec
from model.errors import StorageError
from model.training.outcomes import FailedError, Outcome

START_GRACE_S = 10.0
"""How long an array waits for its first trials: the processes that ask for them start within seconds."""
GRACE_S = 0.5
"""How long an array with free slots waits for more trials before it trains on: a scheduler has just stopped
one and is about to send the next."""


@dataclass(slots=True, eq=False)
class _Member:
    """A trial in the array."""

    run: TrialRun
    waiting: bool = False
    """Whether its caller waits for the next validation."""
    failure: Exception | None = None


class TrialArray:
    """Trains its trials from validation to validation, whenever all of them are asked for.

    Each trial has a caller that asks for one validation after the other (``step``), all in threads of their
    own. A trial joins with its first ``step`` and goes after its last, or when it is told to ``leave``. One
    of the callers does the training while the others wait. A caller that died may ask again: what it did not
    hear is told from the trial's history.
    """

    def __init__(self, *, slots: int = 1, threads: int = 1, start_grace_s: float = START_GRACE_S) -> None:
        """Make room for ``slots`` trials, trained with ``threads`` processor threads."""
        torch.set_num_threads(threads)
        self._slots, self._grace_s = slots, start_grace_s
        # Always the same thread, whoever asks: every thread that trains keeps helpers and memory of its own.
        self._trainer = ThreadPoolExecutor(1) if slots > 1 else None
        self._members: dict[str, _Member] = {}
        self._changed = threading.Condition()
        self._changed_at = 0.0
        self._is_training = False
        self._array: Array[Any] | None = None
        self._source: object = None
        self._notes: list[str] = []

    def step(self, record: dict[str, Any], seen: int) -> dict[str, Any]:
        """Train to the trial's first validation after epoch ``seen``; returns it as plain values.

        Args:
            record: The trial's spec, as ``TrialSpec.to_json`` writes it.
            seen: Finished epochs at the latest validation that the caller knows.

        Returns:
            The validation; or, of a trial that cannot go on, the reason under ``failed``; or, where no trial
            can because its folder cannot be written, that reason under ``unwritable``.
        """
        spec = TrialSpec.from_json(record)
        try:
            with self._changed:
                member = self._members.get(spec.trial) or self._join(spec)
                report = self._next_report(member, seen)
                notes, self._notes = self._notes, []
        except StorageError as error:
            self.leave(spec.trial)
            return {"unwritable": error.message, "score": math.nan, "done": True}
        except Exception as error:
            self.leave(spec.trial)
            return _failure(spec, error)
        finished = member.run.is_last(report)
        if finished:
            self.leave(spec.trial)
        return {
            "epoch": report.epoch,
            # Pairs: Tune takes dictionaries inside a result apart for its scheduler, not for its callbacks.
            "metrics": list(report.metrics.items()),
            "train_s": report.train_s,
            "score": report.score,
            "notes": notes,
            "finished": finished,
            "done": finished,
        }

    def leave(self, trial: str) -> None:
        """Let a trial go, if it is here; the others train on without it."""
        with self._changed:
            if self._members.pop(trial, None) is not None:
                self._note_change()

    def _join(self, spec: TrialSpec) -> _Member:
        task = task_named(spec.study["task"])
        train, valid = task.open_split(spec.train), task.open_split(spec.valid)
        run = TrialRun(spec, task.shape(train))
        self._set_up(spec, run, task, (train, valid))
        self._notes += run.notes
        member = _Member(run)
        self._members[spec.trial] = member
        self._note_change()
        return member

    def _set_up(self, spec: TrialSpec, run: TrialRun, task: AnyTask, splits: tuple[Any, Any]) -> None:
        """Make the array with the first trial; those that follow must fit."""
        source = (task.name, spec.train, spec.valid, spec.device, run.shared)
        if source == self._source:
            return
        if self._members:
            raise FailedError("the trial trains otherwise, or on other data, than those of its array")
        self._source = source
        train, valid = splits
        self._array = task.array(
            run.shared,
            train=train,
            valid=valid,
            device=torch.device(spec.device),
            on_shrink=self._note_shrink,
        )

    def _next_report(self, member: _Member, seen: int) -> Report:
        while True:
            if member.failure is not None:
                raise member.failure
            report = member.run.report_after(seen)
            if report is not None:
                return report
            if member is not self._members.get(member.run.trial):
                raise FailedError("the trial was told to leave its array")
            member.waiting = True
            if self._is_training or not all(other.waiting for other in self._members.values()):
                self._changed.wait()
            elif (grace_s := self._grace_left_s()) > 0:
                self._changed.wait(grace_s)
            else:
                self._advance()

    def _grace_left_s(self) -> float:
        if len(self._members) >= self._slots:
            return 0.0
        return self._changed_at + self._grace_s - time.monotonic()

    def _advance(self) -> None:
        """Train all members to the next validation; the lock is free for callers meanwhile."""
        assert self._array is not None
        members = {member.run.slot: member for member in self._members.values()}
        self._array.slots = list(members)
        self._is_training, self._grace_s = True, GRACE_S
        self._changed.release()
        failures: dict[_Member, Exception] = {}
        told = list(members.values())
        try:
            outcomes = self._trained(self._array)
            told = [members[outcome.slot] for outcome in outcomes]
            for outcome, member in zip(outcomes, told, strict=True):
                if isinstance(outcome.result, FailedError):
                    failures[member] = outcome.result
                else:
                    member.run.record(outcome.result)
        except Exception as error:
            failures = dict.fromkeys(members.values(), error)
        finally:
            self._changed.acquire()
            self._is_training = False
            for member in told:
                member.waiting, member.failure = False, failures.get(member)
            self._changed.notify_all()

    def _trained(self, array: Array[Any]) -> list[Outcome[Any]]:
        if self._trainer is None:
            return array.advance()
        return self._trainer.submit(array.advance).result()

    def _note_change(self) -> None:
        self._changed_at = time.monotonic()
        self._changed.notify_all()

    def _note_shrink(self, most: int) -> None:
        self._notes.append(
            f"the device's memory does not hold all trials of an array: {most} at once from here on"
        )


def _failure(spec: TrialSpec, error: Exception) -> dict[str, Any]:
    """The result of a trial that cannot go on; the whole story goes into its folder."""
    folder = Path(spec.folder)
    with contextlib.suppress(OSError):  # the reason below tells what matters
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text("".join(traceback.format_exception(error)))
    message = str(error).splitlines()[0] if str(error) else "no message"
    return {"failed": f"{type(error).__name__}: {message}", "score": math.nan, "done": True}
