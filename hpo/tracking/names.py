"""Names in MLflow, which refuses some characters, empty parts between slashes, and long names.

Everything that is written to MLflow under a name that hpo does not choose goes through ``accepted_name``, and
what is read through ``original_name``, its inverse. Most names stay as they are: ``ap/goal``, ``K4.goal``.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

LONGEST = 250
"""Longest name that MLflow accepts."""
_WHOLE = "hpo.name."
"""Beginning of the tag with the whole of a shortened name; its digest follows."""
_DIGEST = 16
# A code is _xHEX_ for a character and _x_ for nothing, so an underscore before an x needs a code itself.
_NEEDS_CODE = re.compile(r"[^\w./\- :]|_(?=x)")
_CODE = re.compile(r"_x([0-9A-F]*)_")
_SHORTENED = re.compile(rf"_x-([0-9a-f]{{{_DIGEST}}})_$")
_REPLACED_BEFORE = re.compile(r"[^\w./\- :]")


def accepted_name(name: str) -> str:
    """Return the name in MLflow of a metric, parameter or tag; no two names become the same.

    A refused character becomes the code of its number, as in ``yellow-_x3E_red-card``. A part between slashes
    that is empty or stands for a folder gets a code too: ``/loss`` becomes ``_x_/loss``. The end of a name
    that is too long is replaced by a digest; ``tags_of_long_names`` gives the tag that keeps the whole.
    """
    coded = _coded(name)
    return coded if len(coded) <= LONGEST else f"{coded[: LONGEST - _DIGEST - 4]}_x-{_digest(name)}_"


def original_name(accepted: str, tags: Mapping[str, str] | None = None) -> str:
    """Return the name that ``accepted_name`` was given.

    Args:
        accepted: Name in MLflow.
        tags: Tags of the run that has it, for names that were too long.
    """
    if shortened := _SHORTENED.search(accepted):
        return (tags or {}).get(f"{_WHOLE}{shortened[1]}", accepted)
    return _CODE.sub(lambda code: chr(int(code[1], 16)) if code[1] else "", accepted)


def tags_of_long_names(names: Iterable[str]) -> dict[str, str]:
    """Return the tags that ``original_name`` needs for those of ``names`` that are too long for MLflow."""
    return {f"{_WHOLE}{_digest(name)}": name for name in names if len(_coded(name)) > LONGEST}


def name_in_older_records(name: str) -> str:
    """Return the name in records of hpo before 2026-11-28, which had a hyphen for a refused character."""
    parts = _REPLACED_BEFORE.sub("-", name).split("/")
    return "/".join("-" * max(1, len(part)) if set(part) <= {"."} else part for part in parts)


def _coded(name: str) -> str:
    coded = _NEEDS_CODE.sub(lambda refused: _code(refused[0]), name)
    parts = [_coded_part(part) for part in coded.split("/")]
    if parts[0].startswith(".."):  # MLflow takes the whole for a folder above
        parts[0] = _code(".") + parts[0][1:]
    return "/".join(parts)


def _coded_part(part: str) -> str:
    return "_x_" if not part else _code(".") + part[1:] if part in (".", "..") else part


def _code(character: str) -> str:
    return f"_x{ord(character):X}_"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
