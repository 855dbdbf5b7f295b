"""A link with a plain name stands for a folder that other programs would misread."""

import os
import tempfile
from pathlib import Path

import pytest

from hpo.config import plain_paths
from hpo.config.environment import read_environment
from hpo.config.plain_paths import is_text, plain_path

NO_TEXT = os.fsdecode(b"runs \xff\xfe")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", ["runs", "my runs", "ä日", "a'b\"[c]#;$", "a\nb"])
def test_a_path_that_is_text_is_used_as_it_is(tmp_path: Path, name: str, temporary: Path) -> None:
    assert plain_path(tmp_path / name, misread="%?") == tmp_path / name
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", [NO_TEXT, "50%41", "what?x=1"])
def test_a_link_leads_to_any_other_and_is_the_same_each_time(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    link = plain_path(folder, misread="%?")
    assert is_text(link) and not {"%", "?"} & set(str(link))
    (link.resolve()).mkdir()
    (link / "file").write_text("here")
    assert (folder / "file").read_text() == "here"
    assert plain_path(folder, misread="%?") == link
    link.unlink()
    assert plain_path(folder, misread="%?") == link and link.samefile(folder)
    assert plain_path(tmp_path / f"{name}2", misread="%?") != link


def test_links_are_not_put_where_others_can_change_them(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plain_path(tmp_path / NO_TEXT)
    assert first.parent.stat().st_mode & 0o777 == 0o700
    first.parent.chmod(0o777)
    other = plain_path(tmp_path / NO_TEXT)
    assert other.parent != first.parent and other.readlink() == tmp_path / NO_TEXT
    first.parent.chmod(0o700)
    monkeypatch.setattr(plain_paths.os, "getuid", lambda: first.parent.stat().st_uid + 1)
    (temporary / f"hpo-links-{plain_paths.os.getuid()}").symlink_to(first.parent)
    assert plain_path(tmp_path / NO_TEXT).parent not in (first.parent, other.parent)


@pytest.mark.parametrize("name", [NO_TEXT, "50%41", "what?x=1"])
def test_sqlite_finds_its_file_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    from sqlalchemy import create_engine

    (tmp_path / name).mkdir()
    engine = create_engine(read_environment({"HPO_RUNS": str(tmp_path / name)}).tracking_uri)
    with engine.begin() as store:
        store.exec_driver_sql("CREATE TABLE made (here INTEGER)")
    engine.dispose()
    assert (tmp_path / name / "mlflow.db").stat().st_size
