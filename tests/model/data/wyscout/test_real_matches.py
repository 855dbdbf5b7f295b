"""The counts that the description of the real data states, and the results of its matches."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from wyscout_files import all_matches

from model.data.layout.description import SPLITS, builtin_description
from model.data.wyscout.events import EventReader, MatchEvents
from model.data.wyscout.features import half_frames, match_features
from model.data.wyscout.files import competition_files
from model.data.wyscout.labels import match_labels
from model.data.wyscout.matches import Match
from model.data.wyscout.splits import choose_splits


def matches_of(source: Path, competition: str) -> Iterator[tuple[Match, MatchEvents]]:
    matches = all_matches(competition_files(source, "matches")[competition], competition)
    for events in EventReader(competition_files(source, "events")[competition]).matches():
        yield matches[events.match_id], events


def goals_in_result(label: str) -> int:
    """ "France - Croatia, 4 - 2" had six."""
    home, away = label.rpartition(", ")[2].split(" - ")
    return int(home) + int(away)


def test_matches_have_as_many_goal_labels_as_their_result_says(shared: Path) -> None:
    found = {}
    matches = matches_of(shared / "data" / "wyscout", "European_Championship")
    for match, events in itertools.islice(matches, 20):
        # After extra time or penalties "(E)" or "(P)" comes last: not all goals are in the two halves.
        if not match.label.endswith(")"):
            names = [label.name for label in match_labels(match, events).labels]
            found[match.label] = names.count("soccer-ball")
    assert len(found) >= 15
    assert found == {label: goals_in_result(label) for label in found}


def test_features_of_a_real_match_cover_its_halves(shared: Path) -> None:
    match, events = next(matches_of(shared / "data" / "wyscout", "World_Cup"))
    for half, features in zip(events.halves, match_features(events, home=match.home), strict=True):
        assert features.shape == (half_frames(half), 64)
        assert 45 * 120 < len(features) < 55 * 120
        assert 0.05 < features[:, 0].mean() < 0.15


@pytest.mark.slow
def test_labels_and_frames_of_the_published_splits_are_as_many_as_stated(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests above check types of real matches; of all three million events it takes ten times as long.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    source = shared / "data" / "wyscout"
    description = builtin_description("wyscout")
    actions: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    frames: Counter[str] = Counter()
    competitions = list(competition_files(source, "events"))
    everything = [pair for competition in competitions for pair in matches_of(source, competition)]
    split_of = choose_splits(source, {match.match_id for match, _ in everything}, seed=0).split_of()
    for match, events in everything:
        split = split_of[match.match_id]
        frames[split] += sum(half_frames(half) for half in events.halves)
        for label in match_labels(match, events).labels:
            actions[split][description.classes[description.class_of(label.name) or 0]] += 1
    assert actions == {
        "train": {"goal": 784, "card": 955, "substitution": 1409},
        "valid": {"goal": 246, "card": 324, "substitution": 456},
        "test": {"goal": 259, "card": 355, "substitution": 476},
    }
    assert {split: round(count / 1e6, 2) for split, count in frames.items()} == {
        "train": 3.44,
        "valid": 1.15,
        "test": 1.15,
    }
