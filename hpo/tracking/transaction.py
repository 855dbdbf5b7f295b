"""One transaction for many changes in MLflow's database, where the store is a database and no server."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite"
_BUSY_MS = 20000
"""Time to wait for another writer of an SQLite file, as in MLflow."""
_one_at_a_time = threading.Lock()
"""Held by the thread that has replaced the sessions of a store, which all clients of the process share."""


@contextmanager
def one_transaction(client: "MlflowClient") -> Iterator[None]:
    """Commit all changes that this thread makes inside the context at its end; an error undoes all of them.

    MLflow commits each change by itself, often several times, and each time waits for the disk. Inside the
    context its commits are savepoints. On a server, which decides itself, nothing changes.
    """
    store = client._tracking_client.store
    if not hasattr(store, "ManagedSessionMaker"):
        yield
        return
    from mlflow.store.db.utils import _get_managed_session_maker
    from sqlalchemy.orm import sessionmaker

    with _one_at_a_time, store.engine.connect() as connection:
        usual, owner = store.ManagedSessionMaker, threading.get_ident()
        if store.db_type == _SQLITE:
            # These work only outside of a transaction. Python's driver begins one too late for savepoints.
            for statement in (
                "PRAGMA foreign_keys = ON",
                f"PRAGMA busy_timeout = {_BUSY_MS}",
                "BEGIN IMMEDIATE",
            ):
                connection.exec_driver_sql(statement)
        joined = _get_managed_session_maker(
            sessionmaker(bind=connection, join_transaction_mode="create_savepoint"), store.db_type
        )

        def session(*args: Any, **options: Any) -> AbstractContextManager[Any]:
            # Other clients of the process share the store.
            make = joined if threading.get_ident() == owner else usual
            made: AbstractContextManager[Any] = make(*args, **options)
            return made

        store.ManagedSessionMaker = session
        try:
            yield
            connection.commit()
        finally:
            store.ManagedSessionMaker = usual
