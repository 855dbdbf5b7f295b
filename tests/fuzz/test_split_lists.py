"""The reader of lists of games: every game once and inside the data folder, or an error."""

import tempfile
from pathlib import Path, PurePosixPath

from fuzz.broken import damaged
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.data.checks.inspection import inspect_game
from model.data.layout.description import builtin_description
from model.data.layout.split_lists import games_of_split
from model.data.stores.building import open_split
from model.documents import decode_text
from model.errors import DataError, UserError

WYSCOUT = builtin_description("wyscout")

lines = st.one_of(
    st.sampled_from(
        (
            "league/season/a",
            "league/season/b",
            "league//season/a/",
            "league\\season\\c",
            "/",
            "\\",
            "# note",
            "",
            " ",
        )
    ),
    st.sampled_from(
        ("../a", "/etc", "a/../../b", ".", "..", "x" * 300, "a/\x00", "~", "C:\\a", "a" + "/a" * 900)
    ),
    st.text(max_size=20),
)
sound = st.lists(lines, max_size=4).map(lambda texts: "\n".join(texts).encode("utf-8", "replace"))


@FUZZ
@given(st.one_of(sound, damaged(sound), st.binary(max_size=50)))
def test_list_gives_games_inside_the_folder_or_an_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        root.mkdir()
        file = root / "train.txt"
        file.write_bytes(content)
        came = outcome(lambda: games_of_split(root, WYSCOUT, "train"))
        if isinstance(came, UserError):
            assert isinstance(came, DataError)
            assert str(file) in str(came)
            return
        assert len(came) == len({PurePosixPath(game) for game in came})
        written = [line.replace("\ufeff", "").strip() for line in decode_text(content).splitlines()]
        assert len(came) == sum(bool(line) and not line.startswith("#") for line in written)
        for game in came:
            assert (root / game).resolve().is_relative_to(root.resolve())
            inspected = outcome(lambda game=game: inspect_game(root, game, WYSCOUT, stem="X"))
            assert not isinstance(inspected, UserError) and inspected.absent
        (root / "dataset.toml").write_text('name = "x"\nlabels_file = "L.json"\nclasses.a = ["a"]\n')
        opened = outcome(lambda: open_split(root, features="X", split="train", cache=Path(folder, "cache")))
        assert isinstance(opened, DataError)  # there is no such game
