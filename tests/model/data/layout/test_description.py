from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.layout.description import (
    BUILTIN_NAMES,
    UnknownLabelError,
    builtin_description,
    parse_description,
    read_description,
    write_description,
)
from model.errors import DataError

HANDBALL = """
name = "handball"
frame_rate = 5.0
labels_file = "events.json"
ignored_labels = ["timeout*"]
[classes]
goal = ["goal"]
seven-metre = ["7m*"]
two-minutes = ["suspension"]
red-card = ["red"]
blue-card = ["blue"]
steal = ["steal [ball]"]
block = ["block"]
[features]
video = "VIDEO_64"
[splits]
train = "lists/train.txt"
"""

V2_LABELS = [
    "Penalty", "Kick-off", "Goal", "Substitution", "Offside", "Shots on target", "Shots off target",
    "Clearance", "Ball out of play", "Throw-in", "Foul", "Indirect free-kick", "Direct free-kick",
    "Corner", "Yellow card", "Red card", "Yellow->red card",
]  # fmt: skip


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_a_description_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    write_description(tmp_path, builtin_description(name))
    assert read_description(tmp_path) == builtin_description(name)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_label_pattern_survives_being_written(label: str) -> None:
    import tempfile

    description = parse_description(HANDBALL, source="x")
    odd = replace(description, ignored=(label,), features={label: "STEM"})
    with tempfile.TemporaryDirectory() as folder:
        write_description(Path(folder), odd)
        assert read_description(Path(folder)) == odd


@pytest.mark.parametrize(
    ("label", "name"),
    [("soccer-ball", "goal"), ("soccer-ball-own", "goal"), ("y-card", "card"), ("yr-card", "card"),
     ("substitution-in", "substitution")],
)  # fmt: skip
def test_soccernet_v1_labels_match_by_a_part_of_their_name(label: str, name: str) -> None:
    description = builtin_description("soccernet-v1")
    assert description.classes[description.class_of(label) or 0] == name


def test_soccernet_v2_has_its_seventeen_labels_in_the_published_order() -> None:
    description = builtin_description("soccernet-v2")
    assert [description.class_of(label) for label in V2_LABELS] == list(range(17))
    assert description.classes[16] == "yellow-red-card"


def test_an_unknown_label_is_reported_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownLabelError, match=r"^unknown label 'Free kick'.*nearest.*irect free-kick'"):
        builtin_description("soccernet-v2").class_of("Free kick")


def test_another_sport_names_its_own_classes_rate_features_and_splits() -> None:
    description = parse_description(HANDBALL, source="dataset.toml")
    assert len(description.classes) == 7
    assert description.frame_rate.to_frames(2.0) == 10
    assert description.class_of("7M throw") == 1
    assert description.class_of("Timeout home") is None
    assert description.feature_stem("video") == "VIDEO_64"
    assert description.feature_stem("AUDIO") == "AUDIO"


def test_brackets_in_a_label_are_letters() -> None:
    description = parse_description(HANDBALL, source="x")
    assert description.class_of("steal [ball]") == 5
    with pytest.raises(UnknownLabelError):
        description.class_of("steal b")


def test_pattern_that_equals_a_label_goes_before_wildcards() -> None:
    text = HANDBALL.replace('["timeout*"]', '["timeout*", "7m saved"]').replace(
        "steal = ", 'seven-metre-goal = ["7m goal"]\nsteal = '
    )
    description = parse_description(text, source="x")
    found = {label: description.class_of(label) for label in ("7m throw", "7M goal", "7m saved")}
    assert found == {"7m throw": 1, "7M goal": 5, "7m saved": None}


def test_all_mistakes_of_a_description_are_reported_at_once() -> None:
    wrong = """
nam = "x"
frame_rate = -1
labels_file = 3
[classes]
"a/b" = ["a"]
b = []
c = "x"
[splits]
train = 1
"""
    with pytest.raises(DataError) as caught:
        parse_description(wrong, source="dataset.toml")
    places = {problem.place for problem in caught.value.problems}
    assert places == {
        "nam",
        "name",
        "frame_rate",
        "labels_file",
        "classes.a/b",
        "classes.b",
        "classes.c",
        "splits.train",
    }


def test_wrong_version_of_labels_is_one_mistake_beside_those_of_other_keys() -> None:
    with pytest.raises(DataError) as caught:
        parse_description('labels = "v3"\nframe_rate = -1', source="dataset.toml")
    labels, rate = map(str, caught.value.problems)
    assert "labels: expected v1 or v2 of SoccerNet, got 'v3'; leave it out for other labels" in labels
    assert "frame_rate: " in rate


@pytest.mark.parametrize("name", ["-x", "", "  ", "ä"])
def test_name_of_a_class_that_cannot_be_used_is_told_the_whole_rule(name: str) -> None:
    text = f'name = "x"\nlabels_file = "Labels.json"\nclasses."{name}" = ["x"]\n'
    with pytest.raises(DataError, match="begins with a letter or digit and has only letters, digits"):
        parse_description(text, source="dataset.toml")


def test_name_that_stands_for_all_classes_in_study_files_is_no_class() -> None:
    text = 'name = "x"\nlabels_file = "Labels.json"\nclasses.default = ["x"]\n'
    with pytest.raises(DataError, match=r"classes\.default: this name stands in study files for all classes"):
        parse_description(text, source="dataset.toml")


def test_description_of_extracted_features_says_how_to_add_the_classes() -> None:
    with pytest.raises(DataError, match=r"classes: expected at least one class .*: hpo data labels --from"):
        parse_description('name = "x"\nlabels_file = "Labels.json"\n', source="dataset.toml")


def test_label_of_a_class_with_wildcards_only_belongs_to_this_class() -> None:
    description = parse_description(HANDBALL, source="dataset.toml")
    assert description.label_texts[:3] == ("goal", "7m", "suspension")
    assert [description.class_of(label) for label in description.label_texts] == list(range(7))


def test_a_description_that_is_not_toml_names_the_place() -> None:
    with pytest.raises(DataError, match="line 1"):
        parse_description("name = \nx = 1", source="dataset.toml")


@pytest.mark.parametrize(
    "line",
    [
        'labels_file = "../Labels.json"',
        'labels_file = "/etc/passwd"',
        'labels_file = "Labels\\u0000.json"',
        f'labels_file = "{"x" * 300}"',
        'labels_file = "."',
        'labels_file = "Labels.json"\nsplits.train = "a/../../b.txt"',
        'labels_file = "Labels.json"\nsplits.valid = "/etc/passwd"',
        'labels_file = "Labels.json"\nfeatures.audio = "../AUDIO"',
        'labels_file = "Labels.json"\nfeatures.audio = "x/AUDIO"',
    ],
)
def test_paths_of_a_description_cannot_leave_the_folder(line: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_description(f'name = "x"\nclasses.goal = ["goal"]\n{line}', source="dataset.toml")
    assert [problem.place for problem in caught.value.problems] == [line.splitlines()[-1].partition(" ")[0]]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("frame_rate = 1e300", "frame_rate"),
        ("frame_rate = nan", "frame_rate"),
        ('splits.validation = "valid.txt"', "splits.validation"),
        ('classes.other = ["Goal"]', "classes.other"),
    ],
)
def test_settings_that_nothing_could_use_are_reported(line: str, place: str) -> None:
    sound = 'name = "x"\nlabels_file = "Labels.json"\nclasses.goal = ["goal"]\n'
    with pytest.raises(DataError) as caught:
        parse_description(sound + line, source="dataset.toml")
    assert [problem.place for problem in caught.value.problems] == [place]


def test_a_description_with_mistakes_of_any_length_makes_an_error_that_can_be_read() -> None:
    long = "x" * 5000
    with pytest.raises(DataError) as caught:
        parse_description(f'name = ["{long}"]\n{long} = 1\n"two\\nlines" = 2', source="dataset.toml")
    assert all(len(line) < 200 for line in str(caught.value).splitlines())
    assert len(str(caught.value).splitlines()) == 1 + len(caught.value.problems)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a" + ".a" * 500 + " = 1", "a = " + "9" * 5000])
def test_nesting_and_numbers_without_end_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="not valid TOML"):
        parse_description(text, source="dataset.toml")


@pytest.mark.parametrize(
    ("labels_file", "name"), [("Labels.json", "soccernet-v1"), ("Labels-v2.json", "soccernet-v2")]
)
def test_soccernet_folders_need_no_description(labels_file: str, name: str, tmp_path: Path) -> None:
    game = tmp_path / "england_epl" / "2014-2015" / "a game"
    game.mkdir(parents=True)
    (game / labels_file).write_text("{}")
    assert read_description(tmp_path).name == name


def test_a_folder_without_a_data_set_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.toml"):
        read_description(tmp_path)
    with pytest.raises(DataError, match="no such data folder"):
        read_description(tmp_path / "missing")


@pytest.mark.parametrize("key", ["frame_rate", "recipe"])
def test_two_names_of_the_same_files_must_agree(tmp_path: Path, key: str) -> None:
    recipe = 'recipe = {{ model = "m", weights = "w", preprocessing = "{}", frame_rate = 2 }}'
    values = ["frame_rate = 2", "frame_rate = 5"] if key == "frame_rate" else [recipe.format(x) for x in "ab"]
    lines = [f'{name} = {{ stem = "X", {value} }}' for name, value in zip("ab", values, strict=True)]
    (tmp_path / "dataset.toml").write_text("\n".join(["[features]", *lines]))
    with pytest.raises(DataError, match=rf"features\.b\.{key}: another name of the files 'X'"):
        read_description(tmp_path)


def test_recipe_that_is_no_table_is_a_problem(tmp_path: Path) -> None:
    keys = '["model", "weights", "preprocessing", "frame_rate"]'
    (tmp_path / "dataset.toml").write_text(f'[features]\na = {{ stem = "X", recipe = {keys} }}')
    with pytest.raises(DataError, match=r"features\.a\.recipe: expected a table"):
        read_description(tmp_path)


def test_folder_without_a_data_set_says_how_it_gets_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no known data set") as refused:
        read_description(tmp_path)
    assert f"or begin with: hpo data new {tmp_path}" in str(refused.value)
    (tmp_path / "events.zip").touch()
    with pytest.raises(DataError, match="no known data set") as refused:
        read_description(tmp_path)
    assert f"hpo data wyscout --from {tmp_path} --to NEW" in str(refused.value)
