"""How many processor cores a trial gets."""

import io
import os
from typing import Any

import pytest

from hpo.schedule.tuner import Parallelism
from hpo.study.devices import available_cpus

QUOTA = "/sys/fs/cgroup/cpu.max"


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine of 32 cores whose container has the quotas put in here: file -> content."""
    files: dict[str, str] = {}
    is_there, opened = os.path.exists, open

    def exists(path: Any) -> bool:
        return path in files if str(path).startswith("/sys/fs/cgroup") else is_there(path)

    def read(path: Any, *rest: Any, **options: Any) -> Any:
        return io.StringIO(files[path]) if path in files else opened(path, *rest, **options)

    monkeypatch.setattr("os.path.exists", exists)
    monkeypatch.setattr("builtins.open", read)
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(32)))
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    return files


@pytest.mark.parametrize(
    ("quota", "cores"), [("400000 100000", 4), ("250000 100000", 3), ("50000 100000", 1), ("max 100000", 32)]
)
def test_a_container_has_the_cores_of_its_quota(container: dict[str, str], quota: str, cores: int) -> None:
    container[QUOTA] = f"{quota}\n"
    assert available_cpus() == cores


def test_a_container_of_the_first_version_of_cgroups_has_the_cores_of_its_quota(
    container: dict[str, str],
) -> None:
    container["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "400000\n"
    container["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000\n"
    assert available_cpus() == 4


def test_without_a_quota_the_cores_that_the_process_may_run_on_count(
    container: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_cpus() == 32
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 5})
    assert available_cpus() == 2


@pytest.mark.parametrize(
    ("concurrent", "array", "processes", "threads"),
    [(1, 1, 1, 4), (2, 1, 2, 2), (8, 1, 8, 1), (8, 4, 2, 2), (3, 2, 2, 2), (4, 4, 1, 4)],
)
def test_trials_of_one_array_share_a_process_and_processes_share_the_cores(
    concurrent: int, array: int, processes: int, threads: int
) -> None:
    parallelism = Parallelism(concurrent=concurrent, array=array, cpus=4, gpu=False)
    assert (parallelism.processes, parallelism.threads) == (processes, threads)
