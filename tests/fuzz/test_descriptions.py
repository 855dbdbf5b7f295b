"""The reader of ``dataset.toml``: a description that says what the file says, or an error that names it."""

import tempfile
from pathlib import Path, PurePosixPath

from fuzz.broken import files, to_toml
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.data.layout.description import UnknownLabelError, read_description, write_description
from model.documents import parse_toml
from model.errors import DataError, UserError

patterns = st.lists(
    st.sampled_from(("goal", "goal*", "*card?", "[x]", "Größe", "a b")), min_size=1, max_size=3
)
class_names = st.sampled_from(("goal", "card", "throw-in", "yellow card", "1st"))
descriptions = st.fixed_dictionaries(
    {
        "name": st.sampled_from(("handball", "soccernet-v2", "Größe")),
        "labels_file": st.sampled_from(("Labels.json", "labels/v2.json")),
        "classes": st.dictionaries(class_names, patterns, min_size=1, max_size=3),
    },
    optional={
        "frame_rate": st.floats(0.5, 60) | st.integers(1, 60),
        "ignored_labels": patterns,
        "parts": st.integers(1, 9),
        "features": st.dictionaries(
            st.sampled_from(("audio", "resnet")),
            st.just("VGGISH")
            | st.fixed_dictionaries({"stem": st.just("X")}, optional={"frame_rate": st.floats(0.5, 60)}),
            max_size=2,
        ),
        "splits": st.dictionaries(
            st.sampled_from(("train", "valid")), st.sampled_from(("train.txt", "lists/a.txt")), max_size=2
        ),
    },
)


@FUZZ
@given(files(descriptions, to_toml), st.text(max_size=10))
def test_description_says_what_the_file_says_or_an_error(content: bytes, label: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "dataset.toml")
        file.write_bytes(content)
        came = outcome(lambda: read_description(Path(folder)))
        if isinstance(came, UserError):
            assert isinstance(came, DataError)
            assert str(file) in str(came)
            return
        document = parse_toml(content)
        assert came.name == document["name"]
        if "labels" in document:
            assert came.labels_version == document["labels"]
            return
        declared = came.frame_rate.per_second if came.frame_rate else None
        assert declared == document.get("frame_rate") and came.parts == document.get("parts")
        assert {name: list(labels) for name, labels in came.patterns.items()} == document["classes"]
        assert list(came.ignored) == document.get("ignored_labels", [])
        features = document.get("features", {})
        stems = {name: value if isinstance(value, str) else value["stem"] for name, value in features.items()}
        assert came.features == stems
        for value in features.values():
            if not isinstance(value, str) and "frame_rate" in value:
                assert came.rates[value["stem"]].per_second > 0
        assert came.splits == document.get("splits", {})
        for inside in (came.labels_file, *came.splits.values(), *came.features.values()):
            path = PurePosixPath(inside)
            assert not path.is_absolute() and ".." not in path.parts
            outcome(lambda inside=inside: (Path(folder) / inside).exists())
        write_description(Path(folder), came)
        assert read_description(Path(folder)) == came
        try:
            outcome(lambda: came.class_of(label))
        except UnknownLabelError as error:
            assert "\n" not in str(error)
