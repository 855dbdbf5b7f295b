import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hpo.spotting.cut_lists import Highlights, highlights_line, write_cut_lists
from model.inference.clips import Clip, Moment


def moment(kind: str, half: int, class_index: int, start_s: float, stop_s: float, score: float) -> Moment:
    assert kind in ("spot", "sequence")
    return Moment(
        kind="spot" if kind == "spot" else "sequence",
        half=half,
        class_index=class_index,
        start_s=start_s,
        stop_s=stop_s,
        score=score,
    )


FOUND = Highlights(
    game="league/season/Málaga - Eibar",
    classes=("goal", "card"),
    clips=(
        Clip(
            half=0,
            start_s=585.5,
            stop_s=640.0,
            moments=(
                moment("sequence", 0, 0, 600.5, 620.0, 0.75),
                moment("spot", 0, 1, 610.0, 610.0, 0.9),
            ),
        ),
        Clip(half=1, start_s=3600.0, stop_s=3635.0, moments=(moment("spot", 1, 0, 3615.0, 3615.0, 0.8),)),
    ),
    settings={"threshold": 0.5},
)
RATE = Fraction(25)
EVENT = re.compile(r"(\d{3})  (\S{5} +)(B     C        )((?:\d\d:\d\d:\d\d:\d\d ?){4})")


def test_json_says_what_is_shown_when_and_why(tmp_path: Path) -> None:
    file, _ = write_cut_lists(FOUND, tmp_path, timecode_rate=RATE)
    record = json.loads(file.read_text())
    assert (record["game"], record["duration_s"], record["settings"]) == (
        "league/season/Málaga - Eibar",
        89.5,
        {"threshold": 0.5},
    )
    first, second = record["clips"]
    assert (first["half"], first["game_time"], first["start_s"], first["stop_s"]) == (
        1,
        "1 - 09:45",
        585.5,
        640.0,
    )
    assert [(part["kind"], part["class"]) for part in first["moments"]] == [
        ("sequence", "goal"),
        ("spot", "card"),
    ]
    assert second["game_time"] == "2 - 60:00" and second["moments"][0]["score"] == 0.8


def test_edl_cuts_both_reels_one_after_the_other(tmp_path: Path) -> None:
    _, file = write_cut_lists(FOUND, tmp_path, timecode_rate=RATE)
    lines = file.read_text().splitlines()
    assert lines[:3] == ["TITLE: Málaga - Eibar", "FCM: NON-DROP FRAME", ""]
    events = [match for line in lines if (match := EVENT.fullmatch(line))]
    assert [(event[1], event[2].strip(), event[4]) for event in events] == [
        ("001", "HALF1", "00:09:45:13 00:10:40:00 00:00:00:00 00:00:54:12"),
        ("002", "HALF2", "01:00:00:00 01:00:35:00 00:00:54:12 00:01:29:12"),
    ]
    assert "* COMMENT: goal sequence 0.75, card 0.90" in lines


def test_edl_labels_the_frames_of_television_by_their_number(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    late = replace(FOUND, clips=(replace(FOUND.clips[0], start_s=2680.0, stop_s=2700.0),))
    _, file = write_cut_lists(late, tmp_path, timecode_rate=rate)
    (event,) = filter(None, map(EVENT.fullmatch, file.read_text().splitlines()))
    # Frames 80320 and 80919, counted by 30.
    assert event[4] == "00:44:37:10 00:44:57:09 00:00:00:00 00:00:19:29"


def test_game_without_highlights_has_empty_lists(tmp_path: Path) -> None:
    nothing = Highlights(game="a/b/c", classes=("goal",), clips=(), settings={})
    listing, cuts = write_cut_lists(nothing, tmp_path, timecode_rate=RATE)
    assert json.loads(listing.read_text())["clips"] == [] and cuts.read_text().startswith("TITLE: c\n")
    assert highlights_line(nothing) == "0 clips of 0 min 00 s in all, for 0 spots and 0 sequences"


def test_line_counts_clips_spots_and_sequences() -> None:
    assert highlights_line(FOUND) == "2 clips of 1 min 30 s in all, for 2 spots and 1 sequence"


def test_film_of_other_cuts_does_not_stay_beside_the_lists(tmp_path: Path) -> None:
    film = tmp_path / "highlights.mp4"
    film.write_bytes(b"of FOUND")
    write_cut_lists(FOUND, tmp_path, timecode_rate=RATE)
    write_cut_lists(FOUND, tmp_path, timecode_rate=RATE)
    assert film.read_bytes() == b"of FOUND"
    write_cut_lists(replace(FOUND, clips=FOUND.clips[:1]), tmp_path, timecode_rate=RATE)
    assert not film.exists()
