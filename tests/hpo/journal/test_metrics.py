"""Tests of the metrics that a study keeps."""

import math
import pickle
from sys import getsizeof

import pytest

from hpo.journal.codec import from_json, to_json
from hpo.journal.events import TrialReported
from hpo.journal.metrics import Metrics

MEASURED = {"average_map": 0.25, "ap/goal": 0.5, "loss": math.inf}


def test_metrics_are_equal_to_the_dictionary_they_were_made_from_and_keep_its_order():
    metrics = Metrics(MEASURED)
    assert metrics == MEASURED
    assert MEASURED == metrics
    assert list(metrics) == list(MEASURED)
    assert {**metrics, "train_s": 1.0} == {**MEASURED, "train_s": 1.0}
    assert metrics != Metrics({**MEASURED, "loss": 1.0})
    with pytest.raises(KeyError):
        metrics["ap/card"]


def test_metrics_survive_a_journal_line_and_a_pickle():
    event = TrialReported(trial="bayes-0001", epoch=1, metrics=Metrics(MEASURED), train_s=1.0)
    read = from_json(to_json(event))
    assert read == event
    assert isinstance(read, TrialReported)
    assert isinstance(read.metrics, Metrics)
    assert pickle.loads(pickle.dumps(read.metrics)) == MEASURED


def test_a_line_with_nan_is_read_as_the_same_event_twice():
    line = to_json(TrialReported(trial="t", epoch=1, metrics=Metrics({"loss": math.nan}), train_s=1.0))
    assert from_json(line) == from_json(line)


def test_validations_with_the_same_names_share_them():
    first, second = (Metrics({f"ap/{number}": value for number in range(25)}) for value in (0.1, 0.2))
    own = getsizeof(first) + getsizeof(first._values)
    assert own < 400
    assert first._places is second._places
