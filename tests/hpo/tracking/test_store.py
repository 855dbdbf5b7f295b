"""Which store is used, and that it is made once and whole."""

import errno
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow_record import client_of, record, runs_of

from hpo.config.environment import Environment, read_environment
from hpo.tracking.store import (
    artifact_folder,
    check_store,
    make_store,
    quiet_variables,
    sqlite_file,
    store_errors,
    unreachable_server,
)
from model.errors import ConfigError, UserError


def environment_in(runs: Path) -> Environment:
    return read_environment({"HPO_RUNS": str(runs)})


def at(uri: str, runs: Path = Path("/runs")) -> Environment:
    return read_environment({"HPO_RUNS": str(runs), "MLFLOW_TRACKING_URI": uri})


def test_two_processes_that_want_the_store_at_once_get_one(
    made_by_two: tuple[Environment, list[tuple[int, str]]],
) -> None:
    environment, makers = made_by_two
    assert makers == [(0, ""), (0, "")]
    left = {path.name for path in environment.runs.iterdir()}
    assert {"mlflow.db", "mlflow.db.lock"} <= left
    assert "mlflow.db.unfinished" not in left


def test_a_store_that_is_there_is_left_alone(environment: Environment) -> None:
    file = environment.runs / "mlflow.db"
    before = file.stat().st_mtime_ns, file.stat().st_ino
    make_store(environment)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


FULL = """
class SqlAlchemyStore:
    def __init__(self, *arguments):
        try:
            raise OSError("database or disk is full")
        except OSError as error:
            raise RuntimeError("(OSError) database or disk is full\\n[SQL: CREATE TABLE]\\n") from error
"""


def test_a_store_that_cannot_be_made_gives_the_innermost_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "code" / "mlflow" / "store" / "tracking"
    package.mkdir(parents=True)
    (package / "sqlalchemy_store.py").write_text(FULL)
    (tmp_path / "code" / "mlflow" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    with pytest.raises(UserError) as refused:
        make_store(at(f"sqlite:///{tmp_path}/mlflow.db"))
    assert refused.value.message == "cannot create the MLflow store: database or disk is full"


def test_a_store_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.tracking.store._MAKE_TABLES", "raise SystemExit('no room')")
    with pytest.raises(UserError, match="cannot create the MLflow store: no room"):
        make_store(at(f"sqlite:///{tmp_path}/mlflow.db"))
    assert not (tmp_path / "mlflow.db").exists()


def test_a_store_in_a_read_only_folder_is_used_as_it_is_but_not_made_there(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path) -> AbstractContextManager[None]:
        raise OSError(errno.EROFS, "Read-only file system", str(file))

    monkeypatch.setattr("hpo.tracking.store.locked", refuse)
    make_store(environment)
    with pytest.raises(UserError, match="cannot create the MLflow store: Read-only file system") as refused:
        make_store(environment_in(tmp_path / "new"))
    assert "HPO_RUNS" in refused.value.details["fix"]


def test_a_server_is_not_made(tmp_path: Path) -> None:
    make_store(at("http://localhost:5000", tmp_path))
    assert not list(tmp_path.iterdir())


def contents(study: Any, environment: Environment) -> dict[str, str]:
    """A file of each run, read through MLflow."""
    client, read = client_of(environment), {}
    for name, run in runs_of(study, environment).items():
        file = "study.json" if name == "bayes" else "config.json"
        read[name] = Path(client.download_artifacts(run.info.run_id, file)).read_text()
    return read


@pytest.mark.parametrize("name", ["runs elsewhere", "50%41?#", os.fsdecode(b"\xff\xfe")])
def test_artifacts_follow_a_folder_of_studies_that_moves(
    study: Any, copy_of_store: Callable[[Path], Environment], tmp_path: Path, name: str
) -> None:
    before = copy_of_store(tmp_path / "runs")
    study.create()
    study.first_trial()
    record(study, before)
    expected = contents(study, before)
    before.runs.rename(tmp_path / name)
    now = environment_in(tmp_path / name)
    study.interrupted_trial()
    study.resumed_trial()
    record(study, now)
    assert contents(study, now).items() >= expected.items()
    assert "bayes-0002" in contents(study, now)
    assert not before.runs.exists()


def test_a_copy_of_a_folder_of_studies_has_artifacts_of_its_own(
    study: Any, copy_of_store: Callable[[Path], Environment], tmp_path: Path
) -> None:
    here = copy_of_store(tmp_path / "runs")
    study.create()
    record(study, here)
    shutil.copytree(here.runs, tmp_path / "copy")
    there = environment_in(tmp_path / "copy")
    study.first_trial()
    record(study, there)
    assert set(contents(study, there)) == {"bayes", "bayes-0000"}
    assert not list((here.runs / "artifacts").rglob("config.json"))
    make_store(here)
    assert set(contents(study, here)) == {"bayes"}


def test_a_store_of_several_folders_keeps_addresses_of_artifacts_that_are_not_here(
    study: Any, copy_of_store: Callable[[Path], Environment], tmp_path: Path
) -> None:
    owner = copy_of_store(tmp_path / "runs")
    study.create()
    record(study, owner)
    expected = contents(study, owner)
    other = at(owner.tracking_uri, tmp_path / "other-runs")
    make_store(other)
    assert contents(study, other) == expected
    moved = at(owner.tracking_uri, tmp_path / "moved-runs")
    moved.runs.mkdir()
    (owner.runs / "artifacts").rename(moved.runs / "artifacts")
    make_store(moved)
    assert contents(study, moved) == expected


@pytest.mark.parametrize(
    ("uri", "file"),
    [("sqlite:////runs/mlflow.db", Path("/runs/mlflow.db")), ("http://server:5000", None)],
)
def test_only_an_sqlite_store_is_a_file(uri: str, file: Path | None) -> None:
    assert sqlite_file(at(uri)) == file


def test_files_of_runs_lie_in_the_runs_folder_unless_a_server_keeps_them() -> None:
    assert artifact_folder(at("sqlite:////runs/mlflow.db"), "id") == "file:///runs/artifacts/id"
    assert artifact_folder(at("postgresql://host/mlflow"), "id") == "file:///runs/artifacts/id"
    assert artifact_folder(at("https://server"), "id") is None


@pytest.mark.parametrize("uri", ["mlruns", "./mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_a_plain_folder_is_refused_with_what_to_do(uri: str) -> None:
    with pytest.raises(ConfigError, match="names a folder, which MLflow no longer supports") as refused:
        check_store(at(uri))
    assert "MLFLOW_TRACKING_URI" in str(refused.value)


def test_an_address_with_a_bracket_in_its_password_is_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match="cannot read the address in MLFLOW_TRACKING_URI") as refused:
        check_store(at("postgresql://u:p[w@host/db"))
    assert "%5B" in refused.value.details["fix"] and "p[w" not in str(refused.value)


@pytest.mark.parametrize("uri", ["http://server:5000", "sqlite:///a.db", "postgresql://h/d", "databricks"])
def test_servers_and_data_bases_are_accepted(uri: str) -> None:
    check_store(at(uri))


def test_a_users_own_settings_of_mlflow_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    variables = quiet_variables()
    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        uri = f"http://me:secret@127.0.0.1:{port}"
        assert unreachable_server(at(uri)) == f"127.0.0.1:{port}"
        listener.listen()
        assert unreachable_server(at(uri)) is None
    assert unreachable_server(at("http://host:port")) == "host:port"


def test_server_behind_a_proxy_is_looked_for_where_mlflow_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener, socket.socket() as silent:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}")
        behind, direct = "https://mlflow.invalid", f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert unreachable_server(at(behind)) is None
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert unreachable_server(at(direct)) == urlsplit(direct).netloc
        monkeypatch.setenv("https_proxy", f"me:secret@127.0.0.1:{silent.getsockname()[1]}")
        assert unreachable_server(at(behind)) == urlsplit(direct).netloc


def test_a_store_that_may_only_be_read_is_told_with_what_to_do() -> None:
    with pytest.raises(UserError, match="attempt to write a readonly database") as refused:
        with store_errors("sqlite:////runs/mlflow.db"):
            raise RuntimeError(
                "(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: UPDATE]"
            )
    assert "HPO_RUNS" in refused.value.details["fix"]
    with pytest.raises(UserError) as other, store_errors("sqlite:////runs/mlflow.db"):
        raise RuntimeError("no such table")
    assert not other.value.details


@pytest.mark.parametrize("uri", ["sqlite:////runs/mlflow.db", "databricks", "other://host/d"])
def test_what_is_no_server_is_not_asked(uri: str) -> None:
    assert unreachable_server(at(uri)) is None
