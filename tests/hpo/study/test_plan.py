"""How many processor cores a trial gets."""

import math
from pathlib import Path

import pytest

from hpo.schedule.tuner import Parallelism
from hpo.study import plan
from hpo.study.plan import _container_cpus, available_cpus


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", math.inf)],
)
def test_a_container_has_the_whole_cores_of_its_quota(tmp_path: Path, quota: str, cores: float) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert _container_cpus(tmp_path / "cpu.max") == cores
    assert _container_cpus(tmp_path / "none") == math.inf


def test_trials_share_what_the_container_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan.os, "sched_getaffinity", lambda process: set(range(32)))
    assert available_cpus() <= 32
    monkeypatch.setattr(plan, "_container_cpus", lambda: 4)
    assert available_cpus() == 4


@pytest.mark.parametrize(
    ("concurrent", "array", "processes", "threads"),
    [(1, 1, 1, 4), (2, 1, 2, 2), (8, 1, 8, 1), (8, 4, 2, 2), (3, 2, 2, 2), (4, 4, 1, 4)],
)
def test_trials_of_one_array_share_a_process_and_processes_share_the_cores(
    concurrent: int, array: int, processes: int, threads: int
) -> None:
    parallelism = Parallelism(concurrent=concurrent, array=array, cpus=4, gpu=False)
    assert (parallelism.processes, parallelism.threads) == (processes, threads)
