"""Events survive the way to one line of JSON and back."""

import json
import math
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.journal.codec import from_json, to_json
from hpo.journal.events import (
    AnyEvent,
    BudgetEnded,
    BudgetSet,
    DataMoved,
    Event,
    GainEstimated,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
    TrialTested,
)
from hpo.journal.metrics import Metrics

names = st.text(min_size=1, max_size=12)
numbers = st.floats()
finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**12)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0))
whole = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(whole, finite, names)
plain_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), whole, finite, names),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(names, plain_json, max_size=3)
texts = st.dictionaries(names, names, max_size=3)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        StudyCreated,
        at=moments,
        study=names,
        plan=objects,
        seed=counts,
        data_digest=names,
        code_digest=names,
        versions=texts,
        identity=names,
    ),
    st.builds(StudyResumed, at=moments, versions=texts),
    st.builds(BudgetSet, at=moments, hours=st.none() | numbers, until=st.none() | moments),
    st.builds(
        BudgetEnded, at=moments, stage=names, budget=names, of_stage=st.booleans(), suffices=st.booleans()
    ),
    st.builds(DataMoved, at=moments, data=st.text()),
    st.builds(StageStarted, at=moments, stage=names, space=objects, trials=counts),
    st.builds(
        TrialAsked,
        at=moments,
        trial=names,
        stage=names,
        parameters=st.dictionaries(names, values, max_size=4),
        seed=counts,
    ),
    st.builds(
        GainEstimated,
        at=moments,
        stage=names,
        proposed=counts,
        trials=counts,
        gain=numbers,
        noise=numbers,
    ),
    st.builds(TrialStarted, at=moments, trial=names, host=names, device=names),
    st.builds(
        TrialReported,
        at=moments,
        trial=names,
        epoch=counts,
        metrics=st.dictionaries(names, numbers, max_size=4).map(Metrics),
        train_s=numbers,
    ),
    st.builds(TrialFinished, at=moments, trial=names, score=numbers, epoch=counts, duration_s=numbers),
    st.builds(
        TrialStopped,
        at=moments,
        trial=names,
        score=numbers,
        epoch=counts,
        duration_s=numbers,
        reason=st.text(),
    ),
    st.builds(TrialFailed, at=moments, trial=names, reason=st.text()),
    st.builds(StageFinished, at=moments, stage=names, best_trial=st.text(max_size=8)),
    st.builds(StudyInterrupted, at=moments, reason=st.text()),
)


@given(events)
def test_an_event_comes_back_from_its_line_as_it_was(event: Event) -> None:
    # repr, because NaN differs from itself and 1 equals 1.0.
    assert repr(from_json(to_json(event))) == repr(event)


@given(events)
def test_a_line_is_standard_json_without_a_line_end(event: Event) -> None:
    line = to_json(event)
    assert line.isascii() and line.isprintable()
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_line_reads_well_to_a_person() -> None:
    event = TrialFinished(
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        trial="bayes-0007",
        score=0.25,
        epoch=40,
        duration_s=61.5,
    )
    assert to_json(event) == (
        '{"event": "trial-finished", "at": "2026-01-02T03:04:05.000000+00:00", '
        '"trial": "bayes-0007", "score": 0.25, "epoch": 40, "duration_s": 61.5}'
    )


def test_losses_of_a_diverged_trial_are_kept() -> None:
    losses = {"train/spotting_loss": math.nan, "valid/spotting_loss": math.inf, "a": -math.inf}
    line = to_json(TrialReported(trial="bayes-0000", epoch=1, metrics=losses, train_s=1.0))
    read = from_json(line)
    assert isinstance(read, TrialReported)
    assert repr(dict(read.metrics)) == repr(losses)


def test_an_event_knows_when_it_happened() -> None:
    before = datetime.now(UTC)
    event = StudyInterrupted(reason="Ctrl-C")
    assert before <= event.at <= datetime.now(UTC)


def test_a_moment_of_another_time_zone_is_the_same_moment() -> None:
    line = '{"event": "study-interrupted", "at": "2026-01-02T03:04:05+02:00", "reason": ""}'
    assert from_json(line).at == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert from_json(line).at.utcoffset() == timedelta(0)


def test_two_studies_of_one_name_have_their_own_identity() -> None:
    def create() -> StudyCreated:
        return StudyCreated(study="demo", plan={}, seed=0, data_digest="d", code_digest="c", versions={})

    assert create().identity != create().identity


def test_a_plan_with_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(StageStarted(stage="bayes", space={"low": math.nan}, trials=1))


AT = '"at": "2026-01-02T03:04:05+00:00"'


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "Expecting value"),
        ("[]", "expected a JSON object, got list"),
        ("{}", "expected an event out of study-created, .* got None"),
        ('{"event": ["x"]}', "expected an event out of"),
        ('{"event": "trial-lost"}', "got 'trial-lost'"),
        ('{"event": "study-interrupted", "reason": ""}', "study-interrupted lacks at"),
        ('{"event": "study-interrupted", "at": "yesterday", "reason": ""}', "yesterday"),
        ('{"event": "study-interrupted", "at": "2026-01-02T03:04:05", "reason": ""}', "time zone"),
        (f'{{"event": "trial-failed", {AT}, "trial": "t"}}', "trial-failed lacks reason"),
        (f'{{"event": "trial-failed", {AT}, "trial": "t", "reason": "", "why": 1}}', "no field 'why'"),
        (f'{{"event": "trial-failed", {AT}, "trial": 3, "reason": ""}}', "trial-failed.trial is of another"),
        (
            f'{{"event": "stage-started", {AT}, "stage": "s", "space": {{}}, "trials": true}}',
            "stage-started.tr",
        ),
        (
            f'{{"event": "stage-started", {AT}, "stage": "s", "space": [], "trials": 1}}',
            "stage-started.space",
        ),
        ('{"event": "study-interrupted", "at": "' + "a" * 3000 + '", "reason": ""}', r"got 'a{59}$"),
        ('{"event": "study-interrupted", "at": "0001-01-01T00:00:00+14:00", "reason": ""}', "UTC"),
        (f'{{"event": "study-interrupted", {AT}, "reason": "a", "reason": "b"}}', "'reason' appears twice"),
        (f'{{"event": "trial-tested", {AT}, "trial": "t", "metrics": {{"a": 1{"0" * 400}}}}}', "64 bits"),
        (f'{{"event": "trial-tested", {AT}, "trial": "t", "metrics": {{"a": NaN}}}}', "NaN is not a number"),
        ("[" * 100_000, "nested deeper"),
        (
            f'{{"event": "study-created", {AT}, "study": "s", "plan": {{}}, "seed": 0, "data_digest": "d", '
            '"code_digest": "c", "versions": {}}',
            "study-created lacks identity",
        ),
        (f'{{"event": "study-resumed", {AT}, "versions": {{"torch": 2}}}}', "study-resumed.versions"),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_the_reason(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_json(line)


RESTS = {
    "study-created": '"study": "s", "plan": {"a": [1, 2.5, null, true, {"b": "\\u00e9"}]}, "seed": 1, '
    '"data_digest": "d", "code_digest": "c", "versions": {"torch": "2"}, "identity": "i"',
    "study-renamed": '"study": "s"',
    "study-resumed": '"versions": {}',
    "budget-set": '"hours": "Infinity", "until": "2026-01-03T04:05:06.000000+00:00"',
    "budget-ended": '"stage": "s", "budget": "2 h", "of_stage": true, "suffices": false',
    "data-moved": '"data": "d"',
    "stage-asked": '"stage": "s", "settings": {"x": 1}, "start": {"f": 1}, "known": {}',
    "stage-started": '"stage": "s", "space": {}, "trials": 2, "epochs": 3, "start": {}',
    "stage-extended": '"stage": "s", "settings": {}, "trials": 3, "space": {}',
    "stage-retried": '"stage": "s"',
    "gain-estimated": '"stage": "s", "proposed": 9, "trials": 10, "gain": 0.5, "noise": 0.25',
    "trial-asked": '"trial": "t", "stage": "s", "parameters": {"f": 1, "beta": 1.0, "a": "b"}, "seed": 4, '
    '"replicate": 0, "role": ""',
    "trial-started": '"trial": "t", "host": "h", "device": "cpu", "threads": 0',
    "trial-reported": '"trial": "t", "epoch": 1, "metrics": {"a": "NaN", "b": "-Infinity", "c": 1.0}, '
    '"train_s": "Infinity"',
    "trial-finished": '"trial": "t", "score": 0.1, "epoch": 1, "duration_s": 1e-07',
    "trial-stopped": '"trial": "t", "score": 0.1, "epoch": 1, "duration_s": 1e+300, "reason": ""',
    "trial-failed": '"trial": "t", "reason": "a file named \\udc80"',
    "noticed": '"message": "\\"\\n"',
    "trial-tested": '"trial": "t", "metrics": {}, "items": 4',
    "stage-finished": '"stage": "s", "best_trial": "", "chosen": {}, "role": "", '
    '"expected": {"t": [0.5, 0.1]}, "noise": 0.25',
    "study-interrupted": '"reason": ""',
}


def test_every_kind_of_event_has_a_line_that_must_stay_readable() -> None:
    assert set(RESTS) == {fields(kind)[0].default for kind in get_args(AnyEvent)}


@pytest.mark.parametrize("kind", RESTS)
def test_a_line_of_an_older_study_is_read_and_written_as_it_was(kind: str) -> None:
    line = f'{{"event": "{kind}", "at": "2026-01-02T03:04:05.000006+00:00", {RESTS[kind]}}}'
    assert to_json(from_json(line)) == line


def test_older_studies_do_not_say_how_many_items_the_test_split_had() -> None:
    tested = from_json(f'{{"event": "trial-tested", {AT}, "trial": "t", "metrics": {{}}}}')
    assert isinstance(tested, TrialTested) and tested.items is None


def test_a_whole_number_is_read_as_a_float_where_a_float_is_due() -> None:
    line = f'{{"event": "trial-finished", {AT}, "trial": "t", "score": 1, "epoch": 2, "duration_s": 3}}'
    assert '"score": 1.0, "epoch": 2, "duration_s": 3.0' in to_json(from_json(line))
