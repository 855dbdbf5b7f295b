"""Changes of a run are written in requests that MLflow accepts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH, MAX_TAG_VAL_LENGTH

from hpo.tracking.changes import LONGEST_TAG, KnownRun, RunChanges
from hpo.tracking.transaction import one_transaction

RUN = KnownRun("run", "file:///nowhere")


class SharedStore:
    """A database whose second connection waits until the first one is closed."""

    db_type = "postgresql"

    def __init__(self) -> None:
        self.engine = self
        self.ManagedSessionMaker = self.usual = object()
        self.connections = 0
        self.second_waits, self.first_is_closed = threading.Event(), threading.Event()

    @contextmanager
    def connect(self) -> Iterator[MagicMock]:
        self.connections += 1
        if self.connections == 1:
            yield MagicMock()
            self.first_is_closed.set()
        else:
            self.second_waits.set()
            assert self.first_is_closed.wait(10)
            yield MagicMock()


def test_two_threads_that_write_at_once_leave_the_store_as_it_was() -> None:
    store = SharedStore()
    client: Any = SimpleNamespace(_tracking_client=SimpleNamespace(store=store))

    def write() -> None:
        with one_transaction(client):
            pass

    other = threading.Thread(target=write)
    with one_transaction(client):
        other.start()
        store.second_waits.wait(0.5)
    other.join(10)
    assert store.connections == 2 and store.ManagedSessionMaker is store.usual


def written(changes: RunChanges, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Requests that the changes make."""
    client, requests = MlflowClient("http://nowhere.invalid"), []
    store = type(client._tracking_client.store)
    monkeypatch.setattr(store, "log_batch", lambda store, **request: requests.append(request))
    changes.write(client, RUN)
    return requests


def test_no_request_has_more_than_mlflow_takes_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [f"name-{number}" for number in range(1001)]
    changes = RunChanges(
        metrics=[Metric(name, 0.5, 0, 1) for name in many],
        parameters=dict.fromkeys(many, "1"),
        tags=dict.fromkeys(many, "x"),
    )
    requests = written(changes, monkeypatch)
    for kind, most in (
        ("metrics", MAX_METRICS_PER_BATCH),
        ("params", MAX_PARAMS_TAGS_PER_BATCH),
        ("tags", MAX_PARAMS_TAGS_PER_BATCH),
    ):
        assert max(len(request[kind]) for request in requests) <= most
        assert [entry.key for request in requests for entry in request[kind]] == many


def test_long_tag_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    [request] = written(RunChanges(tags={"note": "x" * (LONGEST_TAG + 1)}), monkeypatch)
    [tag] = request["tags"]
    assert tag.value == "x" * LONGEST_TAG and LONGEST_TAG <= MAX_TAG_VAL_LENGTH
