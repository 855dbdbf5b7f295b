"""Zip files of the event data: what their members hold, or an error; nothing is unpacked to disk."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from fuzz.broken import damaged
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.data.wyscout.files import DataFile, competition_files
from model.errors import DataError, UserError

names = st.sampled_from(
    (
        "events_Cup.json",
        "a/events_Cup.json",
        "../events_Out.json",
        "/events_Root.json",
        "events_../x.json",
        "events_\udcff.json",
        "events_Größe.json",
        "readme.txt",
        "__MACOSX/._events_Cup.json",
    )
)
methods = st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", draw(methods)) as archive:
        for name in draw(st.lists(names, max_size=3, unique=True)):
            member = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            member.external_attr = draw(st.sampled_from((0, 0o120777 << 16)))  # a symbolic link
            member.compress_type = archive.compression
            archive.writestr(member, draw(st.binary(max_size=40)) * draw(st.sampled_from((1, 50))))
    return content.getvalue()


@FUZZ
@given(st.one_of(archives(), damaged(archives()), damaged(damaged(archives())), st.binary(max_size=99)))
def test_archive_gives_the_members_it_holds_or_an_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "source")
        folder.mkdir()
        (folder / "events.zip").write_bytes(content)
        files = outcome(lambda: competition_files(folder, "events"))
        read = (
            {}
            if isinstance(files, UserError)
            else {key: outcome(reading(file)) for key, file in files.items()}
        )
        for came in [files, *read.values()]:
            assert not isinstance(came, UserError) or (
                isinstance(came, DataError) and str(folder) in str(came)
            )
        assert [path.name for path in Path(name).rglob("*")] == ["source", "events.zip"]
        if isinstance(files, UserError):
            return
        for competition, member in files.items():
            assert "/" not in competition and ".." not in competition
            if isinstance(read[competition], bytes):
                with zipfile.ZipFile(folder / "events.zip") as archive:
                    assert archive.read(str(member.member)) == read[competition]


def reading(file: DataFile) -> Callable[[], bytes]:
    return lambda: b"".join(file.chunks())
