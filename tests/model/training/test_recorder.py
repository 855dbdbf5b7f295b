"""Recordings that a device refuses, with stand-ins for CUDA's streams and graphs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from training.trials import CPU, OTHER, TRAIN, TRAINING, TRIAL, VALID, numbers

from model.training import recorder as recorder_module
from model.training import steps as steps_module
from model.training import trainer
from model.training.outcomes import Validation
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import RecordedSteps
from model.training.trainer import TrainingArray

REFUSAL = "operation not permitted when stream is capturing"


class Stream:
    def wait_stream(self, stream: object) -> None:
        pass


class Graph:
    """Has nothing to repeat."""

    def replay(self) -> None:
        pass


class FakeCuda:
    """Every capture ends in an error, as CUDA ends one in which something went wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cause: Exception = RuntimeError(REFUSAL)
        """What goes wrong inside the capture."""
        self.most_slots = 64
        """A capture of more slots runs out of memory."""
        self.captures = 0
        self.capturing = False
        stands_in: dict[str, Any] = {
            "Stream": Stream,
            "current_stream": Stream,
            "stream": lambda stream: contextlib.nullcontext(),
            "CUDAGraph": Graph,
            "graph": self.capture,
            "graph_pool_handle": object,
            "empty_cache": lambda: None,
        }
        for name, value in stands_in.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(recorder_module, "recording_stream", Stream)

    @contextlib.contextmanager
    def capture(self, graph: Graph, pool: object, stream: Stream) -> Iterator[None]:
        self.captures += 1
        self.capturing = True
        try:
            yield
        except Exception as error:
            # The end of a broken capture raises an error of its own in place of the first.
            raise torch.AcceleratorError("CUDA error: cudaErrorStreamCaptureInvalidated") from error
        finally:
            self.capturing = False


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Records on the processor; what is recorded goes wrong."""
    fake = FakeCuda(monkeypatch)
    learn = RecordedSteps._learn

    def broken(steps: RecordedSteps, place: torch.Tensor) -> torch.Tensor:
        if fake.capturing and len(steps._cohort_of) > fake.most_slots:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if fake.capturing:
            raise fake.cause
        return learn(steps, place)

    monkeypatch.setattr(RecordedSteps, "_learn", broken)
    monkeypatch.setattr(trainer, "make_steps", RecordedSteps)
    monkeypatch.setattr(steps_module, "BUCKET", 2)
    return fake


def advance(*, notes: list[str]) -> list[Validation]:
    array = TrainingArray(TRAINING, train=TRAIN, valid=VALID, device=CPU, on_note=notes.append)
    array.slots = [Slot(TRIAL), Slot(OTHER)]
    results = []
    while array.slots[0].epoch < TRAINING.epochs:
        for outcome in array.advance():
            assert isinstance(outcome.result, Validation), outcome.result
            results.append(outcome.result)
    return results


def test_refused_recording_is_reported_once_and_training_continues(cuda: FakeCuda) -> None:
    notes: list[str] = []
    validations = advance(notes=notes)
    assert [entry.epoch for entry in validations] == [2, 2, 4, 4]
    assert len(notes) == 1 and "without recordings" in notes[0] and cuda.captures == 1


def test_refused_recording_changes_no_number(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = advance(notes=[])
    # Steps that were never recorded: the data lie in host memory.
    init = RecordedSteps.__init__

    def not_resident(steps: RecordedSteps, cohorts: Any, source: Any, *rest: Any) -> None:
        source.is_resident = False
        init(steps, cohorts, source, *rest)

    monkeypatch.setattr(RecordedSteps, "__init__", not_resident)
    assert numbers(advance(notes=[])) == numbers(refused)


def test_memory_that_runs_out_in_a_recording_shrinks_the_array(cuda: FakeCuda) -> None:
    cuda.most_slots = 1
    notes: list[str] = []
    assert len(advance(notes=notes)) == 4
    assert any("from now on, 1 at once" in note for note in notes)


@pytest.mark.parametrize(
    "lack",
    [torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("CUDA error: out of memory")],
)
def test_recorder_names_the_lack_of_memory_although_another_error_replaced_it(
    cuda: FakeCuda, lack: Exception
) -> None:
    recorder = Recorder()

    def work() -> torch.Tensor:
        if cuda.capturing:
            raise lack
        return torch.zeros(1)

    with pytest.raises(torch.OutOfMemoryError):
        recorder.record(work)
    assert recorder.works


def test_new_pool_is_taken_when_no_recording_of_the_old_one_is_left(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch gives up a pool with the last of its recordings, and then refuses new ones in it."""
    pools: list[object] = []
    capture = cuda.capture

    def note(graph: Graph, pool: object, stream: Stream) -> contextlib.AbstractContextManager[None]:
        pools.append(pool)
        return capture(graph, pool, stream)

    monkeypatch.setattr(torch.cuda, "graph", note)
    recorder = Recorder()
    first = recorder.record(lambda: torch.zeros(1))
    second = recorder.record(lambda: torch.zeros(1))
    assert first and second and pools[0] is pools[1]
    del first
    third = recorder.record(lambda: torch.zeros(1))
    assert third and pools[2] is pools[0]
    del second, third
    assert recorder.record(lambda: torch.zeros(1))
    assert pools[3] is not pools[0]
