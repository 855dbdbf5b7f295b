"""Changes of a run are written in requests that MLflow accepts."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from mlflow.entities import Metric

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


class Client:
    """Notes the batches that it gets."""

    def __init__(self) -> None:
        self.batches: list[tuple[Sequence[Any], ...]] = []

    def log_batch(
        self, run: str, *, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
    ) -> None:
        self.batches.append((metrics, params, tags))


def written(changes: RunChanges) -> list[tuple[Sequence[Any], ...]]:
    client: Any = Client()
    changes.write(client, RUN)
    batches: list[tuple[Sequence[Any], ...]] = client.batches
    return batches


def test_no_request_has_more_than_mlflow_takes_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hpo.tracking.changes._METRICS_A_BATCH", 3)
    monkeypatch.setattr("hpo.tracking.changes._PARAMS_A_BATCH", 2)
    names = list("abcde")
    batches = written(
        RunChanges(
            metrics=[Metric(name, 0.5, 0, 1) for name in names],
            parameters=dict.fromkeys(names, "1"),
            tags=dict.fromkeys(names[:3], "x"),
        )
    )
    assert [tuple(map(len, batch)) for batch in batches] == [(3, 2, 2), (2, 2, 1), (0, 1, 0)]
    metrics, parameters, tags = (
        [entry.key for entries in kind for entry in entries] for kind in zip(*batches, strict=True)
    )
    assert metrics == parameters == names and tags == names[:3]


def test_limits_are_those_of_mlflow() -> None:
    from mlflow.utils.validation import (
        MAX_METRICS_PER_BATCH,
        MAX_PARAMS_TAGS_PER_BATCH,
        MAX_TAG_VAL_LENGTH,
    )

    many = [f"name-{number}" for number in range(1001)]
    first, *_ = written(
        RunChanges(
            metrics=[Metric(name, 0.5, 0, 1) for name in many],
            parameters=dict.fromkeys(many, "1"),
            tags=dict.fromkeys(many, "x"),
        )
    )
    assert len(first[0]) <= MAX_METRICS_PER_BATCH
    assert len(first[1]) <= MAX_PARAMS_TAGS_PER_BATCH and len(first[2]) <= MAX_PARAMS_TAGS_PER_BATCH
    assert LONGEST_TAG <= MAX_TAG_VAL_LENGTH


def test_long_tag_is_shortened() -> None:
    [(_, _, [tag])] = written(RunChanges(tags={"note": "x" * (LONGEST_TAG + 1)}))
    assert tag.value == "x" * LONGEST_TAG
