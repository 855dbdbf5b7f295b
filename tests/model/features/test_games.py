"""Tables of videos and the games that they become."""

from pathlib import Path

import pytest

from model.errors import ConfigError, DataError
from model.features.games import GameVideo, games_of_files, read_games, stem_of


def test_every_wrong_line_of_a_table_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    lines = ["game,part,video,split", "ok,1,a.mp4,train", "../x,1,a.mp4,train", "ok,0,a.mp4,train"]
    lines += ["ok,2,b.mp4,train", "ok,2,a.mp4,valid", "ok,1,a.mp4,train", "new,1,a.mp4,no"]
    (tmp_path / "games.csv").write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        read_games(tmp_path / "games.csv")
    assert [problem.place for problem in caught.value.problems] == [f"line {line}" for line in range(3, 9)]
    (tmp_path / "games.csv").write_text("\n".join([lines[0], "", "", *lines[2:3]]))
    with pytest.raises(DataError) as caught:
        read_games(tmp_path / "games.csv")
    assert [problem.place for problem in caught.value.problems] == ["line 4"]
    (tmp_path / "games.csv").write_text("\n".join(line.replace(",", ", ") for line in lines[:2]))
    assert read_games(tmp_path / "games.csv") == [
        GameVideo(game="ok", part=1, video=tmp_path / "a.mp4", split="train")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("game,video\na,a.mp4\n", "got game, video: part is missing"),
        ("game,part,video\n", "expected a line per video below the header of this table, got none"),
    ],
)
def test_table_without_columns_or_lines_is_one_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "games.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_games(tmp_path / "games.csv")


def test_table_has_parts_up_to_99(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    lines = ["game,part,video", "a,10,a.mp4", "a,99,a.mp4", "a,100,a.mp4", "a,01,a.mp4"]
    (tmp_path / "games.csv").write_text("\n".join(lines[:3]))
    assert [each.part for each in read_games(tmp_path / "games.csv")] == [10, 99]
    (tmp_path / "games.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"part is '100' \(expected a number from 1 to 99\)") as caught:
        read_games(tmp_path / "games.csv")
    assert [problem.place for problem in caught.value.problems] == ["line 4", "line 5"]


def test_table_has_the_games_that_lists_have(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    lines = ["game , part, video", "league\\2015\\g/,1,a.mp4", "#12 Final,1,a.mp4", "a,1,a.mp4,b.mp4"]
    (tmp_path / "games.csv").write_text("\n".join(lines[:2]))
    assert [each.game for each in read_games(tmp_path / "games.csv")] == ["league/2015/g"]
    (tmp_path / "games.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"'#12 Final' cannot be used: .* is a comment") as caught:
        read_games(tmp_path / "games.csv")
    assert [problem.place for problem in caught.value.problems] == ["line 3", "line 4"]
    with pytest.raises(ConfigError, match="rename the video"):
        games_of_files([tmp_path / "#12 Final.mp4"])


def test_names_of_networks_become_stems(tmp_path: Path) -> None:
    assert stem_of("resnet152.tv_in1k") == "RESNET152"
    assert stem_of("folder/my net.pt") == "MY_NET"
    with pytest.raises(ConfigError, match="two videos have the name a"):
        games_of_files([tmp_path / "a.mp4", tmp_path / "b" / "a.mp4"])
