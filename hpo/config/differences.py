"""Differences between two study files."""

from collections.abc import Iterator, Mapping
from typing import Any

from hpo.config.study_file import StudyFile


def differing_settings(typed: StudyFile, kept: StudyFile) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two study files differ, except for their stages and notifications.

    The number of epochs, and data settings that ``typed`` leaves open, are not compared: options of the
    command line may have replaced them when the study of ``kept`` began.

    Args:
        typed: A study file.
        kept: The settings of a study.

    Returns:
        Dotted key -> its values in ``typed`` and in ``kept``.
    """
    theirs, ours = (dict(leaves(_compared(study))) for study in (typed, kept))
    return {
        key: (theirs.get(key), ours.get(key))
        for key in ours | theirs
        if theirs.get(key) != ours.get(key)
        and key != "training.epochs"
        and not (key.startswith("data.") and not theirs.get(key))
    }


def _compared(study: StudyFile) -> dict[str, Any]:
    tables = study.model_dump(mode="json", by_alias=True)
    return {name: table for name, table in tables.items() if name not in ("stages", "notify")}


def leaves(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every entry of nested tables that is not itself a table."""
    if isinstance(record, Mapping):
        for name, entry in record.items():
            yield from leaves(entry, f"{path}.{name}" if path else name)
    else:
        yield path, record
