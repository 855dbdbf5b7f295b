"""A store that cannot be used is named before the first trial; one that is away for a while is waited for."""

import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hpo.config.environment import Environment, read_environment
from hpo.tracking import store_check
from hpo.tracking.store_check import require_usable_store
from model.errors import UserError


def at(uri: str, runs: Path) -> Environment:
    return read_environment({"HPO_RUNS": str(runs), "MLFLOW_TRACKING_URI": uri})


@pytest.fixture
def copied(environment: Environment, tmp_path: Path) -> Environment:
    """A store with all tables, to break."""
    shutil.copyfile(environment.runs / "mlflow.db", tmp_path / "mlflow.db")
    return read_environment({"HPO_RUNS": str(tmp_path)})


@contextmanager
def server(status: int, body: bytes = b"{}") -> Iterator[str]:
    """A server that answers every request in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  # names of the base class

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield f"http://me:secret@127.0.0.1:{listener.server_port}"
        finally:
            listener.shutdown()
            thread.join()


def test_a_store_that_works_is_left_as_it_is(copied: Environment) -> None:
    file = copied.runs / "mlflow.db"
    before = file.read_bytes()
    assert require_usable_store(copied) is None
    assert file.read_bytes() == before


def test_a_store_that_does_not_exist_yet_is_not_made(tmp_path: Path) -> None:
    assert require_usable_store(read_environment({"HPO_RUNS": str(tmp_path / "new")})) is None
    assert not list((tmp_path / "new").iterdir())


def test_a_new_store_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot create the MLflow store: File exists") as refused:
        require_usable_store(at(f"sqlite:///{tmp_path}/file/mlflow.db", tmp_path))
    assert "MLFLOW_TRACKING_URI" in refused.value.details["fix"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_store_is_refused(copied: Environment, what: str) -> None:
    place = copied.runs if what == "folder" else copied.runs / "mlflow.db"
    mode = place.stat().st_mode
    place.chmod(mode & ~0o222)
    try:
        with pytest.raises(UserError, match="MLflow cannot record in its store"):
            require_usable_store(copied)
    finally:
        place.chmod(mode)


@pytest.mark.parametrize("kept", [200, 20_000], ids=["no header left", "half of it"])
def test_a_damaged_store_is_refused(copied: Environment, kept: int) -> None:
    file = copied.runs / "mlflow.db"
    file.write_bytes(file.read_bytes()[:kept] + b"x" * 5000)
    with pytest.raises(UserError, match="MLflow cannot record in its store") as refused:
        require_usable_store(copied)
    assert str(file) in str(refused.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all" * 100)
    with pytest.raises(UserError, match="file is not a database"):
        require_usable_store(read_environment({"HPO_RUNS": str(tmp_path)}))


def test_a_store_of_another_version_of_mlflow_is_refused(copied: Environment) -> None:
    with closing(sqlite3.connect(copied.runs / "mlflow.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    with pytest.raises(UserError, match=r"another version of MLflow.*found version 0123456789ab") as refused:
        require_usable_store(copied)
    assert "mlflow db upgrade" in refused.value.details["fix"]


def test_a_store_that_is_locked_for_a_while_is_no_error(
    copied: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_check, "_LOCK_S", 0.01)
    with closing(sqlite3.connect(copied.runs / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert require_usable_store(copied) is None


def test_a_full_disk_is_a_reason_to_record_later(
    copied: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(store_check, "_look_for_damage", full)
    why_not_now = require_usable_store(copied)
    assert why_not_now == f"the disk of MLflow's store {copied.runs / 'mlflow.db'} is full"


@pytest.mark.parametrize(
    ("status", "fix"),
    [(401, "MLFLOW_TRACKING_USERNAME"), (403, "right to record"), (404, "address of an MLflow server")],
)
def test_a_server_that_refuses_is_an_error_with_what_to_set(status: int, fix: str, tmp_path: Path) -> None:
    with server(status, b"no") as uri, pytest.raises(UserError, match=f"{status}") as refused:
        require_usable_store(at(uri, tmp_path))
    assert fix in refused.value.details["fix"]
    assert "secret" not in str(refused.value)


def test_a_server_with_a_passing_failure_is_told_and_does_not_stop_a_study(tmp_path: Path) -> None:
    with server(503) as uri:
        assert "503" in (require_usable_store(at(uri, tmp_path)) or "")


def test_a_server_that_takes_connections_and_says_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    monkeypatch.setattr(store_check, "_ANSWER_S", 0.01)
    monkeypatch.setattr(store_check, "_open", lambda environment: never.wait())
    with server(200) as uri:
        told = require_usable_store(at(uri, tmp_path))
    never.set()
    assert told is not None and "has not answered within 0.01 s" in told and "secret" not in told


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    with server(200) as uri:
        pass
    assert "does not answer" in (require_usable_store(at(uri, tmp_path)) or "")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nonsense://x", "MLflow cannot record at nonsense://x"),
        ("mlruns", "names a folder, which MLflow no longer supports: mlruns"),
    ],
)
def test_an_address_that_means_nothing_is_refused(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        require_usable_store(at(uri, tmp_path))


def test_database_without_its_driver_is_named_with_what_to_install(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        store = at(f"mysql://user@127.0.0.1:{database.getsockname()[1]}/mlflow", tmp_path)
        with pytest.raises(UserError, match="Python has no driver for this database") as refused:
            require_usable_store(store)
    assert "install the driver" in refused.value.details["fix"]
