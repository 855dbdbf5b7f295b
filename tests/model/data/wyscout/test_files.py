import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from model.data.wyscout.files import competition_files
from model.errors import DataError


def test_zipped_and_loose_files_are_found_alike(tmp_path: Path, source: Callable[..., Path]) -> None:
    both = {"World_Cup": ([], []), "England": ([], [])}
    for zipped in (True, False):
        folder = source(tmp_path / str(zipped), both, zipped=zipped)
        files = competition_files(folder, "events")
        assert list(files) == ["England", "World_Cup"]
        assert b"".join(files["England"].chunks()) == b"[]"


def test_other_files_in_the_zip_file_are_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "events.zip", "w") as archive:
        for name in (
            "__MACOSX/._events_Italy.json",
            "readme.txt",
            "data/events_Italy.json",
            "matches_Italy.json",
        ):
            archive.writestr(name, "[]")
    (file,) = competition_files(tmp_path, "events").values()
    assert file.member == "data/events_Italy.json"


def test_two_files_of_one_competition_are_not_taken_for_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "events.zip", "w") as archive:
        archive.writestr("a/events_Italy.json", "[]")
        archive.writestr("b/events_Italy.json", "[]")
    with pytest.raises(DataError, match=r"two files events_Italy\.json"):
        competition_files(tmp_path, "events")


@pytest.mark.parametrize("member", ["../events_Cup.json", "/etc/events_Cup.json", "events_../x.json", "link"])
def test_names_in_the_zip_file_lead_nowhere(member: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    link = zipfile.ZipInfo(member)
    link.external_attr = 0o120777 << 16  # a symbolic link, for a program that would unpack it
    with zipfile.ZipFile(tmp_path / "in" / "events.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("events_Italy.json", "[]")
    for file in competition_files(tmp_path / "in", "events").values():
        assert b"root" not in b"".join(file.chunks())
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "events.zip"]


def test_a_zip_file_that_unpacks_to_more_than_any_competition_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "events.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("events_Italy.json", " " * (5 << 20))
    file = competition_files(tmp_path, "events")["Italy"]
    with pytest.raises(DataError, match="larger than 4 MiB") as caught:
        list(file.chunks(4 << 20))
    assert "events_Italy.json" in str(caught.value)


def test_a_folder_without_events_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no Wyscout events") as caught:
        competition_files(tmp_path, "events")
    assert "events.zip" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_is_no_zip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.zip").write_text("half a download")
    with pytest.raises(DataError, match=r"broken") as caught:
        competition_files(tmp_path, "events")
    assert "events.zip" in str(caught.value)


def test_a_zip_file_with_damaged_content_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("events_Italy.json", "[" + "{}, " * 5000 + "{}]")
    content = bytearray(path.read_bytes())
    content[50:60] = b"\xff" * 10
    path.write_bytes(content)
    file = competition_files(tmp_path, "events")["Italy"]
    with pytest.raises(DataError, match=r"broken") as caught:
        list(file.chunks())
    assert "events_Italy.json" in str(caught.value)


def test_a_zip_file_with_a_damaged_name_or_another_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("events_Größe.json", "[" + "{}, " * 500 + "{}]")
    sound = path.read_bytes()
    path.write_bytes(sound.replace("ß".encode(), b"\x80\x80"))
    with pytest.raises(DataError, match="broken"):
        competition_files(tmp_path, "events")
    path.write_bytes(sound[:70] + b"\xff" * 10 + sound[80:])
    with pytest.raises(DataError, match="broken"):
        list(competition_files(tmp_path, "events")["Größe"].chunks())


def test_a_file_that_is_gone_is_named(tmp_path: Path, source: Callable[..., Path]) -> None:
    file = competition_files(source(tmp_path, {"Cup": ([], [])}, zipped=False), "events")["Cup"]
    file.path.unlink()
    with pytest.raises(DataError, match=r"cannot be read"):
        list(file.chunks())
