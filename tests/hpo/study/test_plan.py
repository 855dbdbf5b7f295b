"""How many processor cores a trial gets, where a plan finds its data, and which tables it needs."""

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.config.environment import Environment
from hpo.schedule.tuner import Parallelism
from hpo.study.devices import available_cpus
from hpo.study.plan import StudyPlan, StudyRequest, make_plan, reopen_data
from model.errors import ConfigError

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


def test_a_plan_on_a_uri_is_the_plan_on_the_folder_and_finds_its_data_again(
    small_plan: StudyPlan, small_games: Path, small_environment: Environment, tmp_path: Path
) -> None:
    environment = replace(small_environment, cache=tmp_path / "cache")
    seen: list[str] = []
    request = StudyRequest(
        study_file=str(small_environment.cache.parent / "study.toml"), data=small_games.as_uri(), seed=4
    )
    plan = make_plan(request, environment, lambda what, done, total: seen.append(what))
    assert plan.data_digest == small_plan.data_digest
    assert {"fetching train split", "reading train split", "fetching valid split"} <= set(seen)
    assert plan.train.remote is not None and plan.train.remote.uri == small_games.as_uri()
    again = StudyPlan.from_json(plan.to_json(), file="journal")
    assert again == plan
    elsewhere = replace(environment, cache=tmp_path / "another")
    assert reopen_data(again, elsewhere, lambda *_: None).data_digest == plan.data_digest


def test_typed_trials_stand_in_for_a_number_that_the_study_file_lacks(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('task = "calf"\n[stages.bayes.space]\nf = { type = "int", low = 4, high = 8 }\n')
    assert StudyRequest(study_file=str(file), data="d", trials=3).load().stages.named("bayes").trials == 3
    with pytest.raises(ConfigError) as refusal:
        StudyRequest(study_file=str(file), data="d").load()
    assert refusal.value.details == {"stages.bayes.trials": "missing (needs a value)"}
    file.write_text('stages = 5\ntask = "calf"\n')
    with pytest.raises(ConfigError, match="1 setting to correct"):
        StudyRequest(study_file=str(file), data="d", trials=3).load()


def test_all_missing_tables_are_told_at_once_with_their_keys(small_plan: StudyPlan) -> None:
    stages = small_plan.study.stages.model_copy(update={"bayes": None, "final": None})
    with pytest.raises(ConfigError, match=r"needs \[stages.bayes\] and \[stages.final\]") as refusal:
        stages.require(["bayes", "final", "ablation"])
    assert refusal.value.details["[stages.bayes]"] == "missing (needs trials, space)"
