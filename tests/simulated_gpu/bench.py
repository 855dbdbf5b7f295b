"""The checks of ``hpo bench --check`` that need a GPU, on the simulated one, as they are and with faults."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from hpo.bench import boundary, memory, recording
from hpo.bench import setting as setting_module
from hpo.bench.boundary import check_boundary_step, check_boundary_waits
from hpo.bench.line import Line
from hpo.bench.memory import check_memory_limit
from hpo.bench.numbers import check_step
from hpo.bench.recording import check_other_trials, check_replay, check_waits
from hpo.bench.setting import Setting
from model.inference import proposals
from model.training.steps import RecordedSteps, _Recording
from simulated_gpu.boundary import install_boundary
from simulated_gpu.device import GPU, Graph, SimulatedGpu, install

WHOLE, TAKEN = 1000, 100
"""Memory of the simulated GPU, and what an array of all trials takes."""


def lines(check: Callable[[Setting], Iterator[Line]], setting: Setting) -> list[dict[str, Any]]:
    with SimulatedGpu():
        return [asdict(line) for line in check(setting)]


class Memory:
    """Memory that an array of more than half the trials fills."""

    def __init__(self) -> None:
        self.share = 1.0
        self._make = RecordedSteps.__init__

    def limit(self, share: float) -> None:
        self.share = share

    def make(self, steps: RecordedSteps, cohorts: Any, *rest: Any) -> None:
        if self.share * WHOLE < TAKEN and sum(map(len, cohorts)) > memory.TRIALS // 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self._make(steps, cohorts, *rest)


@contextmanager
def small_memory(found: Memory, *, limited: bool) -> Iterator[None]:
    functions = {
        "reset_peak_memory_stats": lambda device: None,
        "max_memory_allocated": lambda device: TAKEN,
        "get_device_properties": lambda device: SimpleNamespace(total_memory=WHOLE),
        "set_per_process_memory_fraction": found.limit if limited else lambda *_: None,
    }
    with (
        patch.multiple(torch.cuda, **functions),
        patch.object(RecordedSteps, "__init__", lambda steps, *given: found.make(steps, *given)),
    ):
        yield


def forgetful_replay(graph: Graph) -> None:
    """A graph that does the optimiser's part of the first step only."""
    kept = graph.tape
    graph.tape = kept[: len(kept) // 2]
    try:
        whole_replay(graph)
    finally:
        graph.tape = kept


def reading_replay(recording: _Recording, place: torch.Tensor) -> torch.Tensor:
    losses = whole_recording(recording, place)
    losses.sum().item()
    return losses


whole_replay, whole_recording = Graph.replay, _Recording.replay


def main() -> None:
    """Do the checks and print their lines."""
    torch.set_num_threads(1)
    install()
    install_boundary()
    setting_module.GAMES = {"train": 1, "valid": 1, "test": 1}
    setting_module.DIMS, setting_module.MINUTES = 16, 15
    recording.STEPS, memory.TRIALS = 4, 4
    boundary.VIDEOS = 4
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        setting = Setting(GPU, Path(folder), limit_s=600.0)
        found["step"] = lines(check_step, setting)
        found["replay"] = lines(check_replay, setting)
        found["other trials"] = lines(check_other_trials, setting)
        found["waits"] = lines(check_waits, setting)
        found["BMN step"] = lines(check_boundary_step, setting)
        found["BMN waits"] = lines(check_boundary_waits, setting)
        with patch.object(proposals, "sent_to", lambda device, tensor: tensor.to(device)):
            found["BMN waiting"] = lines(check_boundary_waits, setting)
        with patch.object(Graph, "replay", forgetful_replay):
            found["forgetful replay"] = lines(check_replay, setting)
        with patch.object(_Recording, "replay", reading_replay):
            found["reading steps"] = lines(check_waits, setting)
        for name, limited in (("memory limit", True), ("no memory limit", False)):
            with small_memory(Memory(), limited=limited):
                found[name] = lines(check_memory_limit, setting)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
