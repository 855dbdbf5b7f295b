"""Find and open the JSON files of the data set, unpacked or in the zip files as distributed."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model.errors import DataError

_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 2 << 30
"""Ten times the largest file of the data set; a small zip file can hold far more."""
_COMPETITION = re.compile(r"^(?:events|matches)_(?P<name>\w[\w -]*)\.json$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """JSON file of one competition."""

    path: Path
    """Path of the JSON file, or of the zip file that contains it."""
    member: str | None = None
    """Name inside the zip file; None for an unpacked file."""

    def __str__(self) -> str:
        """Return the name of the file for error messages."""
        return f"{self.path}" if self.member is None else f"{self.path}/{self.member}"

    def chunks(self, max_bytes: int = _MAX_BYTES) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB, without unpacking it to the disk.

        Raises:
            DataError: The file is missing, is a broken or encrypted zip file, or is larger than
                ``max_bytes``.
        """
        left = max_bytes
        for chunk in self._all_chunks():
            left -= len(chunk)
            if left < 0:
                raise DataError(
                    f"larger than {max_bytes >> 20:,} MiB, the limit for a file of this data set", file=self
                )
            yield chunk

    def _all_chunks(self) -> Iterator[bytes]:
        try:
            if self.member is None:
                with self.path.open("rb") as stream:
                    yield from iter(lambda: stream.read(_CHUNK_BYTES), b"")
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as content:
                    yield from iter(lambda: content.read(_CHUNK_BYTES), b"")
        except OSError as error:
            raise DataError("this file cannot be read", file=self, reason=error) from error
        except Exception as error:  # zipfile raises many types for a damaged file
            raise DataError(
                "this zip file is broken", file=self, reason=error, fix="download it again"
            ) from error


def competition_files(source: Path, kind: str) -> dict[str, DataFile]:
    """Find the file of every competition in folder ``source``; ``kind`` is "events" or "matches".

    Returns:
        Competition -> file, sorted by name.

    Raises:
        DataError: There is neither a zip file nor a JSON file, or the zip file is broken.
    """
    archive = source / f"{kind}.zip"
    if archive.is_file():
        found = [DataFile(path=archive, member=name) for name in _members(archive)]
    else:
        found = [DataFile(path=path) for path in source.glob(f"{kind}_*.json")]
    files: dict[str, DataFile] = {}
    for file in found:
        name = PurePosixPath(file.member or file.path.name).name
        match = _COMPETITION.match(name)
        if match is None or not name.startswith(kind):
            continue
        if match["name"] in files:
            raise DataError(f"there are two files {name}", first=files[match["name"]], second=file)
        files[match["name"]] = file
    if not files:
        raise DataError(
            f"no Wyscout {kind} in this folder",
            folder=source,
            expected=f"{kind}.zip with {kind}_<Competition>.json in it, or {kind}_<Competition>.json",
        )
    return dict(sorted(files.items()))


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as content:
            return content.namelist()
    except OSError as error:
        raise DataError("this file cannot be read", file=archive, reason=error) from error
    except Exception as error:  # zipfile raises many types for a damaged file
        raise DataError(
            "this zip file is broken", file=archive, reason=error, fix="download it again"
        ) from error
