"""Array of trials that one process trains together, each on behalf of its own caller."""

import contextlib
import math
import os
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hpo.tasks.base.own_code import place_in_task
from hpo.tasks.base.registry import AnyTask, task_named
from hpo.tasks.base.task import Array
from hpo.tasks.base.versions import code_digest
from hpo.trial import in_training
from hpo.trial.files import ERROR
from hpo.trial.report import Report
from hpo.trial.run import TrialRun
from hpo.trial.specification import TrialSpec
from model.errors import StorageError
from model.training.device_state import LoadMeter, describe_device, still_works
from model.training.outcomes import FailedError, Outcome, Validation, failure_of
from model.wording import described

START_GRACE_S = 10.0
"""Seconds that an array waits for its first trials: the processes that call it start within seconds."""
EXPECTED_S = 60.0
"""Longest time in seconds that an array waits for a trial that the scheduler has announced."""
GRACE_S = 0.5
"""Seconds that an array with free slots waits for more trials before it continues: a scheduler that has just
stopped a trial is about to send the next one."""

_LONGEST_REASON = 2000
"""Number of characters of an error that the journal keeps; every command that shows the trial prints them."""


@dataclass(slots=True, eq=False)
class _Member:
    """A trial in the array."""

    run: TrialRun
    waiting: bool = False
    """Whether its caller waits for the next validation."""
    failure: Exception | None = None
    """Error that ended the training of the trial."""
    suspected: bool = False
    """Whether an earlier process died while it trained the trial."""


class _RemovedError(Exception):
    """The trial was removed from its array while it waited for its next validation."""


class _ChangedCodeError(Exception):
    """This process has imported other code than the study was started with."""


class TrialArray:
    """Trains its trials together to the next validation, as soon as all their callers wait for it.

    Each trial has a caller in its own thread, which calls ``step`` for one validation after the other. A
    trial joins the array with its first ``step`` and leaves it after its last one, or when ``leave`` is
    called. One of the callers trains while the others wait. A restarted caller gets validations that it
    missed from the history of the trial.

    When the device fails, the process ends, since only a new one can use the device again. A new process
    trains the trials that an earlier one was training when it died one by one, up to their next validation,
    so that their callers see which trial kills it; the others continue together.
    """

    def __init__(self, *, slots: int = 1, threads: int = 1, start_grace_s: float = START_GRACE_S) -> None:
        """Create an empty array.

        Args:
            slots: Maximum number of trials.
            threads: Processor threads to train with.
            start_grace_s: Seconds to wait for the first trials.
        """
        torch.set_num_threads(threads)
        self._slots, self._grace_s = slots, start_grace_s
        # Train in one fixed thread: every thread that trains keeps its own worker threads and memory.
        self._trainer = ThreadPoolExecutor(1) if slots > 1 else None
        self._members: dict[str, _Member] = {}
        self._changed = threading.Condition()
        self._changed_at = 0.0
        # Held while the files of a trial are written; one that leaves waits for it.
        self._recording = threading.Lock()
        self._expected: dict[str, float] = {}
        # Ray runs the calls of one process in any order: the end of a wait can arrive before its start.
        self._settled: set[str] = set()
        self._in_training: list[_Member] = []
        self._array: Array[Any] | None = None
        self._device = torch.device("cpu")
        self._source: object = None
        self._notes: list[str] = []
        self._noted: set[str] = set()

    def step(self, record: dict[str, Any], seen: int, death: str | None = None) -> dict[str, Any]:
        """Train to the trial's first validation after epoch ``seen``.

        Args:
            record: Specification of the trial, as ``TrialSpec.to_json`` writes it.
            seen: Finished epochs at the latest validation that the caller knows.
            death: Why an earlier process died while it trained the trial, empty if that is unknown; None
                if none did.

        Returns:
            The validation as plain values. If the trial failed, the reason under ``failed``. If its folder
            cannot be read or written, so that no trial can continue, the reason under ``unwritable``. If this
            process has other code than the study, ``changed``, without words.
            ``ended`` says whether this is the last result, ``notes`` has the messages for the user since the
            last result of any trial.
        """
        spec = TrialSpec.from_json(record)
        try:
            with self._changed:
                self._wait_to_join(spec.trial, suspected=death is not None)
                member = self._members.get(spec.trial) or self._join(spec, death)
                report = self._next_report(member, seen)
        except _RemovedError as error:  # by the study, which has its result and reads no notes of this one
            return _end("failed", str(error), notes=[])
        except _ChangedCodeError:
            return _end("changed", "", notes=self._new_notes())
        except StorageError as error:
            self.leave(spec.trial)
            return _end("unwritable", error.message, notes=self._new_notes())
        except Exception as error:
            self.leave(spec.trial)
            return _end("failed", _failure(spec, error), notes=self._new_notes())
        finished = member.run.is_last(report)
        if finished:
            self.leave(spec.trial)
        return {
            "epoch": report.epoch,
            # Pairs, since Tune flattens dictionaries inside a result for its scheduler but not for callbacks.
            "metrics": list(report.metrics.items()),
            "train_s": report.train_s,
            "score": report.score,
            "host": socket.gethostname(),
            "notes": self._new_notes(),
            "finished": finished,
            "ended": finished,
        }

    def leave(self, trial: str) -> None:
        """Remove a trial, if the array has it, and continue with the others.

        A trial that leaves during the training is trained along up to the next validation of the others, and
        nothing of it is recorded after this call. If all trials in training have left, the process ends and
        others start in a new one.
        """
        with self._changed:
            self._settle(trial)
            if self._members.pop(trial, None) is not None:
                self._note_change()
                if self._in_training and not any(map(self._is_member, self._in_training)):
                    _end_process()
        with self._recording:
            pass

    def expect(self, trial: str, instead_of: str = "") -> None:
        """Wait for a trial before the next training, if there is a free slot and it has not come already.

        Args:
            trial: Name of the trial, or of a proposal that is being made.
            instead_of: Name that was expected before, such as that of the proposal.
        """
        with self._changed:
            self._settle(instead_of)
            if trial not in self._settled:
                self._expected[trial] = time.monotonic() + EXPECTED_S

    def expect_no_longer(self, trial: str) -> None:
        """Continue without a trial that was expected."""
        with self._changed:
            self._settle(trial)

    def _settle(self, name: str) -> None:
        """Expect a name no longer, now and later."""
        self._settled.add(name)
        if self._expected.pop(name, None) is not None:
            self._changed.notify_all()

    def _wait_to_join(self, trial: str, *, suspected: bool) -> None:
        """Wait until opening the trial cannot be confused with a training, if one of them is suspected."""
        was_settled = trial in self._settled
        while self._in_training and (suspected or any(other.suspected for other in self._in_training)):
            self._changed.wait()
        if trial in self._settled and not (was_settled or trial in self._members):
            raise _RemovedError("the trial left its array before it joined it")

    def _join(self, spec: TrialSpec, death: str | None) -> _Member:
        with in_training.marked([Path(spec.folder)]):
            task = task_named(spec.study["task"])  # imports the user's code, which can end the process
            if spec.code and _code_at_import(spec.study["task"]) != spec.code:
                raise _ChangedCodeError
            train, valid = task.open_split(spec.train), task.open_split(spec.valid)
            run = TrialRun(spec, task.shape(train))
            self._set_up(spec, run, task, (train, valid))
        for note in run.notes:
            self._add_note(note)
        self._note_death(death)
        self._members[spec.trial] = member = _Member(run, suspected=death is not None)
        self._settle(spec.trial)
        self._note_change()
        return member

    def _note_death(self, death: str | None) -> None:
        if self._slots > 1 and death is not None:
            self._add_note(
                f"{death or 'the process of an array died'}: its trials continue from their checkpoints, "
                "one by one up to their next validation"
            )
        elif death:  # of a process of one trial, of which the scheduler has told without the reason
            self._add_note(f"{death}: the trial continues from its checkpoint")

    def _set_up(self, spec: TrialSpec, run: TrialRun, task: AnyTask, splits: tuple[Any, Any]) -> None:
        """Create the trainer for the first trial; later trials must have the same data and settings."""
        source = (task.name, spec.train, spec.valid, spec.device, run.shared)
        if source == self._source:
            return
        if self._members:
            raise FailedError("the trial has other data or training settings than the trials of its array")
        self._device = torch.device(spec.device)
        if described := describe_device(self._device):
            self._add_note(f"a process on {socket.gethostname()} trains on {described}")
        train, valid = splits
        try:
            self._array = task.array(
                run.shared, train=train, valid=valid, device=self._device, on_note=self._add_note
            )
        except Exception as error:
            self._end_if_device_failed(error, run.folder)
            raise
        self._source = source

    def _next_report(self, member: _Member, seen: int) -> Report:
        while True:
            if member.failure is not None:
                raise member.failure
            # During the training the last one may not be on the disk yet, or its neighbours' may be missing.
            report = None if member in self._in_training else member.run.report_after(seen)
            if report is not None:
                return report
            if not self._is_member(member):
                raise _RemovedError("the trial was removed from its array")
            member.waiting = True
            if self._in_training or not all(other.waiting for other in self._members.values()):
                self._changed.wait()
            elif (grace_s := self._grace_left_s()) > 0:
                self._changed.wait(grace_s)
            else:
                self._advance()

    def _grace_left_s(self) -> float:
        if len(self._members) >= self._slots:
            return 0.0
        return max([self._changed_at + self._grace_s, *self._expected.values()]) - time.monotonic()

    def _advance(self) -> None:
        """Train members to the next validation; release the lock during the training."""
        self._in_training = group = self._next_group()
        self._grace_s = GRACE_S
        self._changed.release()
        reached: dict[_Member, Exception | None] = {}
        try:
            with in_training.marked([member.run.folder for member in group]):
                reached = self._train(group)
        finally:
            self._changed.acquire()
            self._in_training = []
            for member, failure in reached.items():
                member.waiting, member.failure, member.suspected = False, failure, False
            self._changed.notify_all()

    def _train(self, group: list[_Member]) -> dict[_Member, Exception | None]:
        """Train members and record their validations; return those that reached one or failed."""
        assert self._array is not None
        members = {member.run.slot: member for member in group}
        self._array.slots = list(members)
        reached: dict[_Member, Exception | None] = {}
        try:
            with LoadMeter(self._device) as meter:
                outcomes = self._trained(self._array)
            for outcome in outcomes:
                member, result = members[outcome.slot], outcome.result
                if isinstance(result, Validation):
                    result = replace(result, metrics={**result.metrics, **meter.load})
                with self._recording:
                    if self._is_member(member):
                        reached[member] = (
                            result if isinstance(result, FailedError) else _unrecorded(member.run, result)
                        )
        except Exception as error:
            reached = dict.fromkeys(group, error)
        for failure in filter(None, reached.values()):
            self._end_if_device_failed(failure, *(member.run.folder for member in group))
        return reached

    def _is_member(self, member: _Member) -> bool:
        """Return whether a trial has not left the array."""
        return self._members.get(member.run.trial) is member

    def _next_group(self) -> list[_Member]:
        """Return the members to train: all, or one of those that may have killed a process."""
        suspects = [member for member in self._members.values() if member.suspected]
        return suspects[:1] or list(self._members.values())

    def _end_if_device_failed(self, error: Exception, *folders: Path) -> None:
        """End the process if the device no longer works, and record why in the folders of trials.

        Call it only while nothing is trained: the question would break a recording.

        Args:
            error: Error that the device may have caused.
            folders: Folders of the trials that caused it.
        """
        if still_works(self._device):
            return
        for folder in folders:
            in_training.add_reason(folder, f"the device failed ({described(error)})")
        _end_process()

    def _trained(self, array: Array[Any]) -> list[Outcome[Any]]:
        if self._trainer is None:
            return array.advance()
        return self._trainer.submit(array.advance).result()

    def _note_change(self) -> None:
        self._changed_at = time.monotonic()
        self._changed.notify_all()

    def _add_note(self, message: str) -> None:
        """Keep a message for the next result; an array reports equal messages once."""
        if message not in self._noted:
            self._noted.add(message)
            self._notes.append(message)

    def _new_notes(self) -> list[str]:
        with self._changed:
            notes, self._notes = self._notes, []
        return notes


@cache
def _code_at_import(task: str) -> str:
    """Return the digest of the code that this process has imported; to be called first after the import."""
    return code_digest(task)


def _end_process() -> None:
    """End this process at once: Ray starts another."""
    os._exit(1)


def _unrecorded(run: TrialRun, validation: Validation) -> FailedError | None:
    """Record a validation; return the error if the task cannot save this trial, as the others continue.

    Raises:
        StorageError: The trial's folder cannot be written, so that no trial can continue.
    """
    try:
        run.record(validation)
    except StorageError:
        raise
    except Exception as error:  # the user's code raises many types
        return failure_of(error)
    return None


def _end(kind: str, reason: str, *, notes: list[str]) -> dict[str, Any]:
    """Make the result of a trial that cannot continue."""
    return {kind: reason, "score": math.nan, "notes": notes, "ended": True}


def _failure(spec: TrialSpec, error: Exception) -> str:
    """Return the reason of a trial's failure, and write the traceback into the trial's folder."""
    folder = Path(spec.folder)
    with contextlib.suppress(OSError):  # the result contains the reason
        folder.mkdir(parents=True, exist_ok=True)
        # Names of files in the message need not be text.
        trace = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
        (folder / ERROR).write_bytes(trace)
    cause = error.__cause__ if type(error) is FailedError and error.__cause__ else error
    place, reason = place_in_task(cause, spec.study["task"]), described(cause)
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}... (whole text in {ERROR})"
    return f"{reason} ({place})" if place else reason
