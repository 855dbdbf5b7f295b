"""Annotations in JSON files of other tools of the field become label files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hpo.cli.main import app
from model.data.labels.annotation_files import read_annotations

SPOT = [
    {"video": "usopen_2019_a", "fps": 29.97, "num_frames": 296, "events": [{"frame": 148, "label": "serve"}]},
    {"video": "usopen_2019_b", "fps": 25.0, "num_frames": 300, "num_events": 0, "events": []},
]
OSL = {
    "version": "2.0",
    "labels": {"action": {"type": "single_label", "labels": ["pass", "shot"]}},
    "data": [
        {
            "id": "attack_0001",
            "inputs": [{"type": "video", "path": "clips/attack_0001.mp4", "fps": 25.0}],
            "events": [
                {"head": "action", "label": "pass", "position_ms": 1100, "gameTime": "1 - 00:01"},
                {"head": "action", "label": "shot", "position_ms": 3650},
            ],
        }
    ],
}
OSL_1 = {
    "version": 1,
    "videos": [
        {
            "path_video": f"league/2015/game/{half}_224p.mkv",
            "annotations": [{"gameTime": f"{half} - 00:{half}2", "label": "Goal", "position": f"{half}2000"}],
        }
        for half in (1, 2)
    ],
}


def labels(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "labels", *map(str, words)])


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (SPOT, [("usopen_2019_a", 1, 4.938, "serve")]),
        (OSL, [("attack_0001", 1, 1.1, "pass"), ("attack_0001", 1, 3.65, "shot")]),
        (
            [{"video": f"l/s/g/{half}", "fps": 2, "events": SPOT[0]["events"]} for half in ("1", "half2")],
            [("l/s/g", 1, 74.0, "serve"), ("l/s/g", 2, 74.0, "serve")],
        ),
        (OSL_1, [("league/2015/game", 1, 12.0, "Goal"), ("league/2015/game", 2, 22.0, "Goal")]),
        (
            [{"video": f"clips/{n}_x.mp4", "fps": 25, "events": SPOT[0]["events"]} for n in (1, 12, 100)],
            [(f"{n}_x", 1, 5.92, "serve") for n in (1, 12, 100)],  # as hpo data extract --video names them
        ),
    ],
)
def test_json_of_other_tools_names_games_parts_and_times(
    tmp_path: Path, document: object, expected: list[tuple[str, int, float, str]]
) -> None:
    file = written(tmp_path / "train.json", json.dumps(document))
    content = read_annotations(file, game="train", part=1)
    assert not content.problems
    assert [(each.game, each.part, each.time_s, each.label) for each in content.annotations] == expected


def test_video_without_events_gets_an_empty_label_file_and_both_are_listed(tmp_path: Path) -> None:
    file, data = written(tmp_path / "train.json", json.dumps(SPOT)), tmp_path / "data"
    for _ in range(2):
        answer = labels("--from", file, "--to", data, "--split", "train")
        assert answer.exit_code == 0, answer.output
    assert "1 action of 2 games" in answer.output
    assert json.loads((data / "usopen_2019_b/Labels.json").read_text())["annotations"] == []
    assert (data / "train.txt").read_text() == "usopen_2019_a\nusopen_2019_b\n"
    file.write_text(file.read_text().replace("148", "149"))
    refused = labels("--from", file, "--to", data, "--split", "valid")
    assert "usopen_2019_a is in the split train, expected valid" in str(refused.exception)
    assert not (data / "usopen_2019_a/Labels.json.old").exists()
    alone = ("--from", written(tmp_path / "valid.json", json.dumps(SPOT[1:])), "--to")
    assert labels(*alone, data).exit_code == 0, "a split may have no event"
    refused = labels(*alone, tmp_path / "other")
    assert "have no event to make a class of, and dataset.toml has no classes" in str(refused.exception)


def test_video_without_a_list_of_events_beside_others_has_none(tmp_path: Path) -> None:
    bare = {"video": "usopen_2019_c", "fps": 25}
    files = [
        written(tmp_path / f"{number}.json", json.dumps(videos))
        for number, videos in enumerate([[*SPOT, bare], [bare]])
    ]
    with_others, alone = (read_annotations(file, game="", part=1) for file in files)
    assert with_others.empty == (("usopen_2019_b", 1), ("usopen_2019_c", 1)) and not with_others.problems
    assert [problem.message for problem in alone.problems] == ["it has no list 'events' or 'annotations'"]


def test_videos_of_several_lists_are_one_game_only_if_they_are_one_file(tmp_path: Path) -> None:
    def listed(name: str, video: str) -> Path:
        return written(tmp_path / name, json.dumps([{**SPOT[0], "video": video}]))

    train = listed("train.json", "train/a/video.mp4")
    refused = labels("--from", train, "--from", listed("valid.json", "valid/b/video.mp4"), "--to", tmp_path)
    assert "part 1 of game 'video', as 'train/a/video.mp4' in" in str(refused.exception)
    again = labels("--from", train, "--from", listed("more.json", "train/a/video.mp4"), "--to", tmp_path)
    assert again.exit_code == 0, again.output


def test_every_fault_of_a_json_file_is_told_with_its_video_and_event(tmp_path: Path) -> None:
    event, (first, second) = {"frame": 5, "label": "serve"}, OSL_1["videos"]  # type: ignore[misc]
    videos: list[object] = [
        {"events": [event]},
        {"video": "a", "events": "none"},
        {"video": "c", "fps": 25, "events": [event, {"frame": -1, "label": "serve"}, {"label": "serve"}, 7]},
        {"video": "x/c.mp4", "fps": 25, "events": [event]},
        {"video": "c", "fps": 25, "events": [event]},
        {"inputs": [{"path": first["path_video"]}, {"path": second["path_video"]}], "events": [event]},
    ]
    content = read_annotations(written(tmp_path / "a.json", json.dumps(videos)), game="a", part=1)
    assert [each.game for each in content.annotations] == ["c"]
    assert [(problem.place, problem.message.partition(" (")[0]) for problem in content.problems] == [
        ("video 1", "it has no path"),
        ("video 'a'", "it has no list 'events' or 'annotations'"),
        ("video 'c', event 2", "frame is -1"),
        ("video 'c', event 3", "it has no time"),
        ("video 'c', event 4", "expected an object, got 7"),
        ("video 'x/c.mp4'", "it would be part 1 of game 'c', as 'c' is"),
        ("video 'c'", "it would be part 1 of game 'c', as 'c' is"),
        (
            "video 'league/2015/game/1_224p.mkv'",
            "its paths are those of the parts 1 and 2 of a game, so that nothing says the part of an event",
        ),
    ]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"position": "1500.5", "gameTime": "2 - 00:00"}, ""),
        ({"position": "3180000", "gameTime": "2 - 08:00"}, "at 3180 s of the video, but gameTime is '2 - "),
        ({"position": 12.5, "gameTime": "2 - 00:12"}, "positions are milliseconds"),
        ({"frame": 300, "gameTime": "1 - 00:12"}, "'1 - 00:12', but its video is part 2 of the game"),
        ({"frame": 300, "gameTime": "12"}, "expected a game time such as"),
        ({"frame": 2600}, ""),  # just past the end, as in label files
        ({"frame": 5000}, "it is at 200 s, which is 100 s past the end of the video, of 2500 frames"),
        ({"frame": 5, "score": 0.01}, "it has the key 'score' of predictions"),
        ({"frame": 5, "label": 3}, "label is 3 (expected a text)"),
        ({"frame": 5, "label": None}, "it has no label"),
    ],
)
def test_event_of_json_that_contradicts_itself_or_is_no_annotation_is_a_problem(
    tmp_path: Path, event: dict[str, object], message: str
) -> None:
    video = {"video": "l/s/g/2", "fps": 25, "num_frames": 2500, "events": [{"label": "serve", **event}]}
    content = read_annotations(written(tmp_path / "a.json", json.dumps([video])), game="a", part=1)
    assert [message in problem.message for problem in content.problems] == [True] * bool(message)


def test_frames_without_a_rate_need_one_and_one_error_says_so(tmp_path: Path) -> None:
    events = [{"frame": 50, "label": "Entry"}]
    dives = [{"video": f"01__{n}", "fps": fps, "events": events} for n, fps in enumerate([-1, "25"], 1)]
    file = written(tmp_path / "train.json", json.dumps(dives))
    refused = labels("--from", file, "--to", tmp_path / "data")
    assert "video '01__1' has events at frames and fps -1" in str(refused.exception)
    assert labels("--from", file, "--to", tmp_path / "data", "--frame-rate", "25").exit_code == 0
    content = json.loads((tmp_path / "data/01__2/Labels.json").read_text())
    assert content["annotations"][0]["position"] == "2000"
