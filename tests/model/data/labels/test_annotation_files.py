"""Annotations as people have them become label files; every bad line is told at once."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hpo.cli.main import app
from model.data.labels.annotation_files import read_annotations
from model.data.labels.label_file import read_actions
from model.data.layout.description import read_description
from model.errors import DataError

CSV = """game,part,time,label
cup/final,1,75.5,Goal
cup/final,1,1:05,Time-out
cup/final,2,0:01:15.5,Goal
cup/semi,1,12,Goal
"""
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="75500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="76000"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="80000"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="81000"/>
</TIME_ORDER><TIER TIER_ID="Time-out"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1"
TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4"><ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION></TIER><TIER TIER_ID="actions"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2"
TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>Goal</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION></TIER></ANNOTATION_DOCUMENT>
"""
SRT = """1
00:01:15,500 --> 00:01:17,000
Goal

2
00:01:20,000 --> 00:01:21,000
<i>Time-out</i>
"""
VTT = """WEBVTT

01:15.500 --> 01:17.000 align:start
Goal

00:01:20.000 --> 00:01:21.000
Time-out
"""


def labels(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "labels", *map(str, words)])


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(("ending", "text"), [("eaf", EAF), ("srt", SRT), ("vtt", VTT)])
def test_files_of_one_part_give_the_same_actions(tmp_path: Path, ending: str, text: str) -> None:
    file = written(tmp_path / f"match.{ending}", text)
    content = read_annotations(file, game="match", part=2)
    annotations, problems = content.annotations, content.problems
    assert not problems
    assert {(each.game, each.part, each.time_s, each.label) for each in annotations} == {
        ("match", 2, 75.5, "Goal"),
        ("match", 2, 80.0, "Time-out"),
    }


def test_table_of_games_of_one_part_needs_no_column_of_parts(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "game,time,label\na,1.5,goal\n")
    refused = labels("--from", file, "--to", tmp_path / "data")
    assert "part is missing (add it, or give --part 1 if all actions are in part 1)" in str(refused.exception)
    assert labels("--from", file, "--to", tmp_path / "data", "--part", 1).exit_code == 0
    assert '"gameTime": "1 - ' in (tmp_path / "data" / "a" / "Labels.json").read_text()
    (known,) = read_annotations(
        written(file, "game,part,time,label\na,2,1.5,goal\n"), game="", part=1
    ).annotations
    assert known.part == 2


def test_table_becomes_label_files_and_classes(tmp_path: Path) -> None:
    answer = labels("--from", written(tmp_path / "a.csv", CSV), "--to", tmp_path / "data")
    assert answer.exit_code == 0, answer.output
    assert "4 actions of 2 games" in answer.output and "edit [classes]" in answer.output
    description = read_description(tmp_path / "data")
    assert description.classes == ("goal", "time-out")
    actions = read_actions(tmp_path / "data/cup/final/Labels.json", description)
    assert [(each.half, each.time_s, each.class_index) for each in actions] == [
        (1, 65.0, 1),
        (1, 75.5, 0),
        (2, 75.5, 0),
    ]


def test_game_that_had_no_folder_is_told_once_the_features_are_there(tmp_path: Path) -> None:
    words = ("--from", written(tmp_path / "a.csv", CSV), "--to", tmp_path)
    assert "no folder so far" not in labels(*words).output
    with (tmp_path / "dataset.toml").open("a") as stream:
        stream.write('[features]\nx = "X"\n')
    assert "no folder so far" not in labels(*words).output
    (tmp_path / "cup/final").rename(tmp_path / "Cup")
    assert "note: 1 game had no folder so far, the first: cup/final" in labels(*words).output


def test_annotation_that_comes_twice_is_written_once_and_told(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", CSV)
    answer = labels("--from", table, "--from", table, "--to", tmp_path / "data")
    assert "4 actions of 2 games" in answer.output
    assert "note: 4 annotations with moment and label of another one: written once" in answer.output


@pytest.mark.parametrize("separator", [";", "\t"])
def test_table_of_another_spreadsheet_has_the_same_actions(tmp_path: Path, separator: str) -> None:
    text = CSV.replace(",", separator)
    assert labels("--from", written(tmp_path / "a.csv", text), "--to", tmp_path / "a").exit_code == 0
    assert labels("--from", written(tmp_path / "b.csv", CSV), "--to", tmp_path / "b").exit_code == 0
    files = [sorted((tmp_path / name).rglob("Labels.json")) for name in "ab"]
    assert files[0] and [file.read_text() for file in files[0]] == [file.read_text() for file in files[1]]


def test_different_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first, second = (written(tmp_path / folder / "final.srt", SRT) for folder in ("a", "b"))
    refused = labels("--from", first, "--from", second, "--to", tmp_path / "data")
    assert f"part 1 of game 'final', as '{first}' in {first} is (expected another name" in str(
        refused.exception
    )
    assert not (tmp_path / "data").exists()
    twice = labels("--from", first, "--from", first, "--to", tmp_path / "data")
    assert "written once" in twice.output


def test_table_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("game,part,time,label\ng,1,2,Schuß\n".encode("latin-1"))
    answer = labels("--from", tmp_path / "a.csv", "--to", tmp_path)
    assert isinstance(answer.exception, DataError) and "save the file as UTF-8" in str(answer.exception)


def test_part_that_comes_later_leaves_the_other_in_place(tmp_path: Path) -> None:
    to = ("--to", tmp_path / "data", "--game", "cup/final")
    for part, text in (("12", VTT), ("1", SRT), ("2", VTT), ("1", SRT.replace("Goal", "Time-out"))):
        file = written(tmp_path / ("a.srt" if "," in text else "a.vtt"), text)
        assert labels("--from", file, *to, "--part", part).exit_code == 0
    content = json.loads((tmp_path / "data/cup/final/Labels.json").read_text())
    assert [(entry["gameTime"], entry["label"]) for entry in content["annotations"]] == [
        ("1 - 01:15", "Time-out"),
        ("1 - 01:20", "Time-out"),
        ("2 - 01:15", "Goal"),
        ("2 - 01:20", "Time-out"),
        ("12 - 01:15", "Goal"),
        ("12 - 01:20", "Time-out"),
    ]


def test_every_bad_line_is_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    bad = CSV + "../x,1,5,Goal\ncup/semi,0,5,Goal\ncup/semi,1,soon,Goal\ncup/semi,1,5,\n"
    bad += "cup/semi,1,1:75,Goal\n"
    later = written(tmp_path / "b.srt", "1\nnever --> 00:01:17,000\nGoal\n")
    answer = labels("--from", written(tmp_path / "a.csv", bad), "--from", later, "--to", tmp_path / "data")
    assert isinstance(answer.exception, DataError)
    places = [problem.place for problem in answer.exception.problems]
    assert places == ["line 6", "line 7", "line 8", "line 9", "line 10", "line 2"]
    assert not (tmp_path / "data").exists()


def test_row_with_more_cells_than_columns_is_a_problem(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", 'game,part,time,label\ng1,1,75,5,goal\ng1,1,"75,5","goal, own"\n')
    content = read_annotations(file, game="a", part=1)
    annotations, problems = content.annotations, content.problems
    assert [(each.time_s, each.label) for each in annotations] == [(75.5, "goal, own")]
    assert [(problem.place, problem.message) for problem in problems] == [
        ("line 2", "5 cells, expected 4; put quotation marks around texts with commas")
    ]


def test_game_has_the_path_that_lists_give_it(tmp_path: Path) -> None:
    file = written(
        tmp_path / "a.csv", "game,part,time,label\nleague\\2015\\g/,1,5,goal\n#12 Final,1,5,goal\n"
    )
    content = read_annotations(file, game="a", part=1)
    annotations, problems = content.annotations, content.problems
    assert [each.game for each in annotations] == ["league/2015/g"]
    assert [problem.place for problem in problems] == ["line 3"]
    assert "a line that begins with # is a comment" in problems[0].message


def test_tier_that_depends_on_another_is_a_problem(tmp_path: Path) -> None:
    child = """<TIER TIER_ID="goal" PARENT_REF="actions"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3"
ANNOTATION_REF="a2"><ANNOTATION_VALUE></ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>"""
    file = written(tmp_path / "a.eaf", EAF.replace("</ANNOTATION_DOC", f"{child}</ANNOTATION_DOC"))
    (problem,) = read_annotations(file, game="a", part=1).problems
    assert problem.place == "tier 'goal'" and "annotations of the tier 'actions'" in problem.message


@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("a.srt", SRT.replace("Goal", r"{\an8}<b>R&amp;D {own}</b>"), "R&amp;D {own}"),
        ("a.vtt", VTT.replace("Goal", r"<b>R&amp;D &lt;own&gt;</b>"), "R&D <own>"),
    ],
)
def test_marks_of_subtitles_are_no_part_of_a_label(tmp_path: Path, name: str, text: str, label: str) -> None:
    content = read_annotations(written(tmp_path / name, text), game="a", part=1)
    annotations, problems = content.annotations, content.problems
    assert not problems and annotations[0].label == label


def test_annotation_without_a_value_in_a_tier_that_has_values_is_a_problem(tmp_path: Path) -> None:
    file = written(tmp_path / "a.eaf", EAF)
    empty = '<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a9" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts4"/>'
    file.write_text(file.read_text().replace('TIER_ID="actions">', f'TIER_ID="actions">{empty}</ANNOTATION>'))
    content = read_annotations(file, game="a", part=1)
    assert {each.label for each in content.annotations} == {"Goal", "Time-out"}
    assert [(each.place, each.message) for each in content.problems] == [
        ("annotation a9", "the label is empty")
    ]


def with_media(*origins: str) -> str:
    media = "".join(f'<MEDIA_DESCRIPTOR MEDIA_URL="{n}.mp4"{origin}/>' for n, origin in enumerate(origins))
    return EAF.replace("<TIME_ORDER>", f'<HEADER TIME_UNITS="milliseconds">{media}</HEADER><TIME_ORDER>')


@pytest.mark.parametrize(
    ("origins", "offset_s"),
    [
        ([""], 0),
        ([' TIME_ORIGIN="30000"'], 30),
        ([' TIME_ORIGIN="-500"'] * 2, -0.5),
        (["", ' TIME_ORIGIN="0"'], 0),
    ],
)
def test_offset_of_the_media_of_elan_is_added(tmp_path: Path, origins: list[str], offset_s: float) -> None:
    file = written(tmp_path / "a.eaf", with_media(*origins))
    content = read_annotations(file, game="a", part=1)
    annotations, problems = content.annotations, content.problems
    assert not problems
    assert sorted(each.time_s for each in annotations) == [75.5 + offset_s, 80 + offset_s]


@pytest.mark.parametrize("origins", [["", ' TIME_ORIGIN="30000"'], [' TIME_ORIGIN="soon"']])
def test_media_of_elan_without_one_offset_are_refused(tmp_path: Path, origins: list[str]) -> None:
    with pytest.raises(DataError, match=r"one TIME_ORIGIN of all media.* of 0\.mp4.*unlink"):
        read_annotations(written(tmp_path / "a.eaf", with_media(*origins)), game="a", part=1)


def test_second_line_of_a_subtitle_is_a_problem(tmp_path: Path) -> None:
    text = SRT.replace("Goal\n", "Goal\nby header\n")
    content = read_annotations(written(tmp_path / "a.srt", text), game="a", part=1)
    annotations, problems = content.annotations, content.problems
    assert [each.label for each in annotations] == ["Time-out"]
    assert [problem.place for problem in problems] == ["line 2"]
    assert "2 lines, of which the second is 'by header'" in problems[0].message


def test_labels_without_a_class_are_told_with_their_line(tmp_path: Path) -> None:
    assert labels("--from", written(tmp_path / "a.csv", CSV), "--to", tmp_path).exit_code == 0
    more = written(tmp_path / "b.csv", CSV.replace("Time-out", "Timeout"))
    answer = labels("--from", more, "--to", tmp_path)
    assert isinstance(answer.exception, DataError)
    (problem,) = answer.exception.problems
    assert problem.place == "line 3" and "unknown label 'Timeout'" in problem.message
    assert "nearest known label is 'Time-out'" in problem.message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "ends in .csv, .json, .eaf, .srt, .vtt"),
        ("a.json", "{}", "'data'. or a list of videos, as E2E-Spot has"),
        ("a.json", "[]", "expected OSL JSON"),
        ("a.json", '{"annotations": []}', "a label file as it should be: put it into the folder of its game"),
        ("a.csv", "game,label\n", "got game, label: part is missing, time is missing"),
        ("a.eaf", "<ANNOTATION_DOCUMENT>", "cannot be read"),
        ("a.eaf", '<x><HEADER TIME_UNITS="PAL-frames"/></x>', "in 'PAL-frames' .*expected 'milliseconds'"),
        ("a.eaf", '<!DOCTYPE x [<!ENTITY a "b">]><x/>', "without a document type"),
    ],
)
def test_file_of_another_kind_is_one_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_annotations(written(tmp_path / name, text), game="a")


def test_file_without_annotations_is_a_problem(tmp_path: Path) -> None:
    problems = read_annotations(written(tmp_path / "a.srt", ""), game="a").problems
    assert [problem.message for problem in problems] == ["no annotation (expected at least one)"]
