"""The journal reader: an event for every whole line, or an error that names the line."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzz.broken import damaged, mutated
from fuzz.broken import from_json as parsed
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from hpo.journal.codec import from_json, to_json
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState
from model.errors import UserError

AT = "2026-11-25T02:30:00.123456+00:00"

values = st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5))
points = st.dictionaries(st.sampled_from(("f", "beta", "K1_frames.goal")), values, max_size=3)
metrics = st.dictionaries(
    st.sampled_from(("average_map", "loss")),
    st.floats(0, 1) | st.sampled_from(("NaN", "Infinity")),
    max_size=2,
)
trials = st.sampled_from(("bayes-0001", "bayes-0002"))


def event(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    known = {"event": st.just(kind), "at": st.just(AT)}
    return st.fixed_dictionaries({**known, **fields})


created = event(
    "study-created",
    study=st.just("mine"),
    plan=st.just({"study": {"task": "calf", "stages": [1, 2]}, "data": "/data"}),
    seed=st.integers(0, 2**63 - 1),
    data_digest=st.just("d"),
    code_digest=st.just("c"),
    versions=st.just({"python": "3.11"}),
    identity=st.just("i"),
)
later = st.one_of(
    event("study-resumed", versions=st.just({"python": "3.12"})),
    event("stage-asked", stage=st.just("bayes"), settings=st.just({"trials": 2})),
    event("stage-started", stage=st.just("bayes"), space=st.just({"f": {"low": 1}}), trials=st.just(2)),
    event("trial-asked", trial=trials, stage=st.just("bayes"), parameters=points, seed=st.integers(0, 99)),
    event("trial-started", trial=trials, host=st.text(max_size=5), device=st.just("cpu")),
    event("trial-reported", trial=trials, epoch=st.integers(1, 9), metrics=metrics, train_s=st.floats(0, 99)),
    event(
        "trial-finished", trial=trials, score=st.floats(0, 1), epoch=st.just(9), duration_s=st.floats(0, 9)
    ),
    event("trial-stopped", trial=trials, score=st.floats(0, 1), epoch=st.just(9), duration_s=st.just(1)),
    event("trial-failed", trial=trials, reason=st.text(max_size=9)),
    event("trial-tested", trial=trials, metrics=metrics),
    event("stage-finished", stage=st.just("bayes"), best_trial=trials, chosen=points),
    event("study-interrupted", reason=st.just("Ctrl-C")),
)
started = st.just({"event": "stage-started", "at": AT, "stage": "bayes", "space": {}, "trials": 2})
asked = [
    {
        "event": "trial-asked",
        "at": AT,
        "trial": f"bayes-000{n}",
        "stage": "bayes",
        "parameters": {"f": n},
        "seed": n,
    }
    for n in (1, 2)
]
journals = st.builds(
    lambda first, second, rest: [first, second, *asked, *rest], created, started, st.lists(later, max_size=3)
)


def lines_of(journal: Any) -> bytes:
    """One line an event, and a half-written one at the end of some."""
    events = journal if isinstance(journal, list) else [journal]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


sound = journals.map(lines_of)
wrong = mutated(journals).map(lines_of)
contents = st.one_of(sound, wrong, wrong, damaged(sound), damaged(wrong), st.binary(max_size=200))


@FUZZ
@given(contents)
def test_journal_gives_every_whole_line_or_names_the_damaged_one(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "mine")
        folder.mkdir()
        file = folder / "journal.jsonl"
        file.write_bytes(content)
        came = outcome(lambda: read_journal(folder))
        if isinstance(came, UserError):
            assert "of the journal cannot be read" in came.message
            assert came.details["file"] == str(file)
            assert file.read_bytes() == content  # damage is left for a person to look at
            return
        whole = content[: content.rfind(b"\n") + 1]
        assert came.end == len(whole)
        assert len(came.events) == whole.count(b"\n")
        assert [from_json(to_json(event)) for event in came.events] == list(came.events)
        assert all(
            event.at.tzinfo is UTC and event.at > datetime.min.replace(tzinfo=UTC) for event in came.events
        )
        for line, read in zip(whole.splitlines(), came.events, strict=False):
            assert_kept(parsed(line), json.loads(to_json(read)))
        outcome(lambda: StudyState.replay(came.events))
        with Journal.open(folder) as journal:
            assert journal.events() == came.events
            assert journal.dropped_bytes == len(content) - len(whole)


def assert_kept(written: dict[str, Any], read: dict[str, Any]) -> None:
    """Every field of the line is a field of the event; a moment may be in another time zone."""
    assert {key: value for key, value in written.items() if key != "at"}.items() <= read.items()
