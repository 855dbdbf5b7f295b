"""Check of the MLflow store before a study trains, while its user can still fix it."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from hpo.config.environment import Environment, without_passwords
from hpo.tracking.experiment import connect, import_mlflow
from hpo.tracking.store import (
    OTHER_STORE,
    check_store,
    is_server,
    not_created,
    sqlite_file,
    unreachable_server,
)
from model.errors import UserError

_ANSWER_S = 20.0
_LOCK_S = 1.0
_LOOK_S = 2.0
"""Longest search for damage in an SQLite file."""
_REFUSED = {
    401: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    403: "ask for the right to record there, or set MLFLOW_TRACKING_URI to another store",
    404: "set MLFLOW_TRACKING_URI to the address of an MLflow server",
}
"""HTTP status that a server keeps answering -> what to do."""


def require_usable_store(environment: Environment) -> str | None:
    """Check that MLflow can record in the store.

    Returns:
        Why MLflow cannot record now, if that may pass: the study runs and is recorded later. Else None.

    Raises:
        UserError: The store cannot be used until somebody changes something: it is read-only, damaged or of
            another MLflow version, or refuses the credentials.
    """
    check_store(environment)
    if server := unreachable_server(environment):
        return f"MLflow at {server} does not answer"
    file = sqlite_file(environment)
    if file is not None and not file.exists():
        _require_writable(file)
        return None
    try:
        if file is not None and not _is_free(file):
            return None  # another program writes into it just now; the follower waits for it
    except _FullError:
        return f"the disk of MLflow's store {file} is full"
    import_mlflow()  # which may take longer than an answer
    return _within_limit(lambda: _open(environment), environment)


def _require_writable(file: Path) -> None:
    """Check that a new store can be created."""
    probe = file.with_name(f"{file.name}.probe")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise not_created(file, error) from error


class _FullError(Exception):
    """The disk of the store is full, which may pass."""


def _is_free(file: Path) -> bool:
    """Write nothing into an SQLite store, look for damage, and return whether it was not locked.

    Raises:
        UserError: The store is damaged or read-only.
        _FullError: The disk is full.
    """
    try:
        with closing(
            sqlite3.connect(f"file:{quote(os.fsencode(file))}?mode=rw", uri=True, timeout=_LOCK_S)
        ) as store:
            [version] = store.execute("PRAGMA user_version").fetchone()
            store.execute("BEGIN IMMEDIATE")
            store.execute(f"PRAGMA user_version = {version}")
            store.execute("ROLLBACK")
            _look_for_damage(store)
    except sqlite3.Error as error:
        if "locked" in str(error):
            return False
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise _FullError from error
        raise UserError(
            f"MLflow cannot record in its store: {error}",
            file=file,
            fix=f"make the file and its folder writable, or move a damaged file away, {OTHER_STORE}",
        ) from error
    return True


def _look_for_damage(store: sqlite3.Connection) -> None:
    stop = time.monotonic() + _LOOK_S
    store.set_progress_handler(lambda: time.monotonic() > stop, 10_000)
    try:
        [found] = store.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
    else:
        if found != "ok":
            raise sqlite3.DatabaseError(f"the file is damaged: {' '.join(found.split())}")


def _open(environment: Environment) -> str | None:
    """Let MLflow read from the store, as the follower will; give the reason if it may work later."""
    from mlflow.exceptions import MlflowException

    uri = environment.tracking_uri
    try:
        if is_server(environment) or _has_tables(uri):
            connect(uri).search_experiments(max_results=1)
    except MlflowException as error:
        status = error.get_http_status_code()
        reason = _line(error)
        if "database schema" in reason:
            raise _schema_error(reason, uri) from error
        if not is_server(environment):
            raise _unusable(uri, reason, f"repair the database, {OTHER_STORE}") from error
        if status in _REFUSED:
            raise _unusable(uri, reason, _REFUSED[status]) from error
        return without_passwords(f"MLflow at {uri} does not work: {reason}")
    except ModuleNotFoundError as error:
        raise _unusable(uri, f"Python has no driver for this database ({error})", _driver_fix(uri)) from error
    except Exception as error:  # a database may fail in ways that no list holds
        raise _unusable(uri, _line(error), f"repair the database, {OTHER_STORE}") from error
    return None


def _driver_fix(uri: str) -> str:
    if uri.startswith("postgresql"):
        return "pip install psycopg2-binary, and write the address as postgresql+psycopg2://USER:PASSWORD@HOST/NAME"
    return "install the driver that the error names"


def _has_tables(uri: str) -> bool:
    """Connect to a database once, where MLflow itself would try for an hour; return whether it is not new."""
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        with engine.connect() as connection:
            return bool(engine.dialect.has_table(connection, "alembic_version"))
    finally:
        engine.dispose()


def _schema_error(reason: str, uri: str) -> UserError:
    shown, _, _ = reason.partition(" Take a backup")
    return UserError(
        f"the MLflow store was written by another version of MLflow: {shown}",
        store=without_passwords(uri),
        fix=f"use that version, or take a backup and run mlflow db upgrade, {OTHER_STORE}",
    )


def _unusable(uri: str, reason: str, fix: str) -> UserError:
    return UserError(without_passwords(f"MLflow cannot record at {uri}: {reason}"), fix=fix)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _within_limit(check: Callable[[], str | None], environment: Environment) -> str | None:
    """Return what ``check`` returns, or that the store has not answered in time."""
    found: list[str | None] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(check())
        except Exception as error:  # raised again where the caller waits
            failed.append(error)

    thread = threading.Thread(target=run, name="check-store", daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    if failed:
        raise failed[0]
    if found:
        return found[0]
    uri = without_passwords(environment.tracking_uri)
    return f"MLflow at {uri} has not answered within {_ANSWER_S:g} s"
