"""Jobs of a cluster, with a stand-in for Ray's client; the real one is met in ``tests/service``."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hpo.schedule import jobs
from hpo.schedule.jobs import Jobs, LostConnectionError, job_variables
from model.errors import ConfigError, UserError


@dataclass
class Status:
    value: str

    def is_terminal(self) -> bool:
        return self.value in ("STOPPED", "FAILED", "SUCCEEDED")


def moment(status: str, log: str, code: int | None = None, message: str = "") -> Any:
    return SimpleNamespace(status=Status(status), log=log, driver_exit_code=code, message=message)


@dataclass
class Cluster:
    """Answers with the next of its moments; an exception is raised instead."""

    moments: list[Any] = field(default_factory=list)
    submitted: dict[str, Any] = field(default_factory=dict)
    uploaded: list[str] = field(default_factory=list)
    """Names of the files that were sent as a package without a folder."""

    def _upload_package_if_needed(
        self, folder: str, *, include_gitignore: bool, include_parent_dir: bool
    ) -> str:
        assert not include_parent_dir
        self.uploaded += [path.name for path in Path(folder).iterdir()]
        return f"gcs://{len(self.uploaded)}.zip"

    def submit_job(self, **what: Any) -> str:
        self.submitted = what
        return str(what["submission_id"])

    def get_job_info(self, job: str) -> Any:
        now = self.moments[0]
        if isinstance(now, Exception):
            raise self.moments.pop(0)
        return now

    def get_job_logs(self, job: str) -> str:
        return str(self.moments.pop(0).log)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(jobs, "_connect", lambda address: cluster)
    monkeypatch.setattr(jobs, "_POLL_S", 0.0)
    return cluster


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds; every look at it passes a minute."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += 60.0
        return now[0]

    monkeypatch.setattr(jobs.time, "monotonic", monotonic)
    yield now


def follow(cluster: Cluster, *moments: Any) -> tuple[int, list[str], list[str]]:
    cluster.moments = list(moments)
    written: list[str] = []
    told: list[str] = []
    code = Jobs("http://head:8265/").follow("hpo-1", written.append, told.append)
    return code, written, told


def test_every_piece_of_the_log_is_passed_on_once_whatever_the_connection_does(cluster: Cluster) -> None:
    lost = ConnectionError("gone")
    code, written, told = follow(
        cluster,
        moment("RUNNING", "one\n"),
        lost,
        lost,
        moment("RUNNING", "one\ntwo\n"),
        RuntimeError("Request failed with status code 502: <html>Bad gateway</html>."),
        moment("SUCCEEDED", "one\ntwo\nthree\n", 0),
    )
    assert code == 0
    assert "".join(written) == "one\ntwo\nthree\n"
    # Once for each time that it is lost, not once for each try.
    assert told == [
        "no Ray dashboard answers at http://head:8265 (gone)",
        "no Ray dashboard answers at http://head:8265 (HTTP status 502)",
    ]


def test_a_cluster_that_stays_away_ends_the_following_not_the_job(
    cluster: Cluster, clock: list[float]
) -> None:
    with pytest.raises(LostConnectionError, match="no Ray dashboard answers"):
        follow(cluster, *[ConnectionError("gone")] * 20)
    assert len(cluster.moments) == 14


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (moment("SUCCEEDED", "", 0), 0),
        (moment("FAILED", "", 2), 2),
        (moment("STOPPED", ""), 130),
    ],
)
def test_exit_code_is_that_of_the_command_on_the_cluster(cluster: Cluster, end: Any, code: int) -> None:
    assert follow(cluster, end)[0] == code


def test_a_job_that_could_not_start_says_why(cluster: Cluster) -> None:
    with pytest.raises(UserError, match="failed before its command ended: the disk is full"):
        follow(cluster, moment("FAILED", "", None, "Failed to set up:\n  the disk is full\n"))
    with pytest.raises(UserError, match="failed before its command ended: no reason given"):
        follow(cluster, moment("FAILED", "", None, ""))


def test_an_unknown_job_is_told_from_a_lost_connection(cluster: Cluster) -> None:
    with pytest.raises(UserError, match="has no job 'hpo-1'") as refused:
        follow(cluster, RuntimeError("Request failed with status code 404: Job hpo-1 does not exist."))
    assert "hpo submit --address http://head:8265 --list" in refused.value.details["fix"]


def test_what_is_submitted_holds_the_command_and_no_secret(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("HPO_RUNS", "/shared/runs")
    job = Jobs("http://head:8265").submit(["run", "bayes", "--study", "two words"])
    assert cluster.submitted["submission_id"] == job
    assert cluster.submitted["entrypoint"] == "python -m hpo run bayes --study 'two words'"
    environment = cluster.submitted["runtime_env"]["env_vars"]
    assert environment["HPO_RUNS"] == "/shared/runs"
    assert environment["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
    assert "planted-secret" not in str(cluster.submitted)


def test_a_task_of_one_file_is_sent_with_the_file_on_pythons_path(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one_file_task.py").write_text("import beside_it\nfrom hpo.tasks.calf.task import TASK\n")
    (tmp_path / "beside_it.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    Jobs("http://head:8265").submit(["resume", "mine"], task="one_file_task")
    *packages, beside, task = cluster.submitted["runtime_env"]["py_modules"]
    assert [Path(package).name for package in packages] == ["hpo", "model", "search_spaces"]
    assert (beside, task) == ("gcs://1.zip", "gcs://2.zip")
    assert cluster.uploaded == ["beside_it.py", "one_file_task.py"]


def test_a_task_that_is_not_here_is_told_before_anything_is_sent(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="a module on PYTHONPATH with a TASK, got 'no_such_task'"):
        Jobs("http://head:8265").submit(["resume", "mine"], task="no_such_task")
    assert not cluster.submitted


@pytest.mark.parametrize(
    "store", ["http://me:planted-secret@server:5000", "postgresql://me@server/db?password=planted-secret"]
)
def test_a_password_in_the_tracking_uri_does_not_travel(store: str) -> None:
    assert job_variables({"MLFLOW_TRACKING_URI": "http://server:5000", "HOME": "/root"}) == {
        "MLFLOW_TRACKING_URI": "http://server:5000"
    }
    with pytest.raises(ConfigError, match="contains a password") as refused:
        job_variables({"MLFLOW_TRACKING_URI": store})
    assert "planted-secret" not in str(refused.value)


def test_a_tracking_uri_that_is_no_address_does_not_travel() -> None:
    with pytest.raises(ConfigError, match="cannot read the address in MLFLOW_TRACKING_URI") as refused:
        job_variables({"MLFLOW_TRACKING_URI": "postgresql://me:planted-[secret@server/db"})
    assert "planted-" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("HPO_RUNS", "runs"), ("HPO_CACHE", "./cache"), ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")],
)
def test_path_that_would_be_another_one_on_the_cluster_does_not_travel(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}={value} is relative to a folder of this machine"):
        job_variables({name: value})


def test_whole_paths_travel() -> None:
    whole = {"HPO_RUNS": "/runs", "HPO_DATA": "~/games", "MLFLOW_TRACKING_URI": "sqlite:////runs/mlflow.db"}
    assert job_variables(whole) == whole


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp_cors", None)
    with pytest.raises(UserError, match="needs the extra 'cluster'") as refused:
        Jobs("http://127.0.0.1:9")
    assert "pip install 'hpo[cluster]'" in refused.value.details["fix"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra counts as installed."""
    monkeypatch.setitem(sys.modules, "aiohttp_cors", ModuleType("aiohttp_cors"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("address", ["head:8265", "ray://head:10001", "http://", "http://head:port"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match="expected --address http://HOST:8265"):
        Jobs(address)


@pytest.mark.usefixtures("installed")
def test_nobody_listening_is_told_at_once() -> None:
    with pytest.raises(UserError, match="no Ray dashboard answers at http"):
        Jobs("http://127.0.0.1:9")
