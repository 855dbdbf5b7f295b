"""The label reader: an action for every annotation that is not ignored, or an error that names the file."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.broken import files, from_json, to_json
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.data.checks.inspection import inspect_game
from model.data.labels.label_file import read_actions, read_labels
from model.data.layout.description import DatasetDescription, builtin_description
from model.errors import DataError, UserError
from model.timeline import format_game_time

DESCRIPTIONS = {name: builtin_description(name) for name in ("soccernet-v1", "soccernet-v2", "wyscout")}


def annotations_of(description: DatasetDescription) -> st.SearchStrategy[dict[str, Any]]:
    texts = [*description.patterns.values(), description.ignored]
    labels = [pattern.replace("*", "") for patterns in texts for pattern in patterns]
    return st.builds(
        lambda half, time_s, label, more: {
            "gameTime": format_game_time(half, time_s),
            "label": label,
            **more,
        },
        st.integers(1, 2),
        st.integers(0, 6000),
        st.sampled_from(labels),
        st.fixed_dictionaries(
            {},
            optional={
                "position": st.integers(0, 6_000_000) | st.integers(0, 6_000_000).map(str),
                "visibility": st.sampled_from(("visible", "not shown")),
                "team": st.sampled_from(("home", "away", "not applicable")),
            },
        ),
    )


def label_files(description: DatasetDescription) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"annotations": st.lists(annotations_of(description), max_size=3)},
        optional={"UrlLocal": st.just("league/season/game/"), "gameHomeTeam": st.text(max_size=10)},
    )


@st.composite
def described_files(draw: st.DrawFn) -> tuple[DatasetDescription, bytes]:
    description = draw(st.sampled_from(list(DESCRIPTIONS.values())))
    return description, draw(files(label_files(description), to_json))


def counted(content: bytes, description: DatasetDescription) -> int:
    """Annotations in the file that are an action of a class."""
    annotations = from_json(content)["annotations"]
    return sum(description.class_of(annotation["label"]) is not None for annotation in annotations)


@FUZZ
@given(described_files())
def test_label_file_gives_every_action_or_an_error(case: tuple[DatasetDescription, bytes]) -> None:
    description, content = case
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, description.labels_file)
        file.write_bytes(content)
        came = outcome(lambda: read_actions(file, description))
    if isinstance(came, UserError):
        assert isinstance(came, DataError) and came.problems
        assert all(problem.file == str(file) for problem in came.problems)
        return
    assert len(came) == counted(content, description)
    assert all(1 <= action.half <= 9 and 0 <= action.time_s <= 86_400 for action in came)
    assert all(0 <= action.class_index < len(description.classes) for action in came)


@FUZZ
@given(described_files())
def test_bad_annotation_hides_no_other(case: tuple[DatasetDescription, bytes]) -> None:
    description, content = case
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, description.labels_file)
        file.write_bytes(content)
        came = outcome(lambda: read_labels(file, description))
    assert not isinstance(came, UserError)
    if came.problems and came.problems[0].place == "":
        return
    annotations = from_json(content)["annotations"]
    bad = {int(problem.place.removeprefix("annotation ")) for problem in came.problems}
    assert len(bad) == len(came.problems)
    for index, annotation in enumerate(annotations):
        if index not in bad:
            found = [action for action in came.actions if action.annotation == index]
            assert len(found) == (description.class_of(annotation["label"]) is not None)


@FUZZ
@given(
    st.sampled_from(list(DESCRIPTIONS)).flatmap(
        lambda name: st.tuples(st.just(name), label_files(DESCRIPTIONS[name]))
    )
)
def test_sound_label_file_is_read_to_the_last_action(case: tuple[str, dict[str, Any]]) -> None:
    description, document = DESCRIPTIONS[case[0]], case[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, description.labels_file)
        file.write_bytes(to_json(document))
        actions = read_actions(file, description)
    expected = []
    for annotation in document["annotations"]:
        clock = annotation["gameTime"]
        time_s = 60.0 * int(clock[4:-3]) + int(clock[-2:])
        if "position" in annotation:
            time_s = int(annotation["position"]) / 1000
        class_index = description.class_of(annotation["label"])
        if class_index is not None:
            shown = annotation.get("visibility") != "not shown"
            expected.append((int(clock[0]), time_s, class_index, shown))
    assert [(a.half, a.time_s, a.class_index, a.visible) for a in actions] == expected


@FUZZ
@given(described_files())
def test_game_with_one_half_lists_problems_and_never_fails(case: tuple[DatasetDescription, bytes]) -> None:
    description, content = case
    with tempfile.TemporaryDirectory() as folder:
        (game := Path(folder, "game")).mkdir()
        np.save(game / "1_X.npy", np.zeros((60, 2), np.float32))
        (game / description.labels_file).write_bytes(content)
        inspected = outcome(lambda: inspect_game(Path(folder), "game", description, stem="X"))
    assert not isinstance(inspected, UserError)
    declared = range(1, 1 + (description.parts or 0))
    halves = {*declared, *(action.half for action in inspected.labels.actions)} - {1}
    if description.parts:
        halves &= set(declared)
    missing = {Path(absent.problem.file).name for absent in inspected.absent}
    assert missing == {f"{half}_X.npy" for half in halves}
