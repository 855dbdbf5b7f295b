"""Folders of a data set that look like games and are in no list of a split."""

from collections.abc import Iterable
from pathlib import Path, PurePath

from model.data.layout.description import DatasetDescription
from model.data.layout.game_files import part_and_stem
from model.files import files_below
from model.wording import counted


def unlisted_notice(
    root: Path, description: DatasetDescription, stems: Iterable[str], listed: Iterable[str]
) -> tuple[str, ...]:
    """Return the notice that folders have labels or features, but are in no list.

    Args:
        root: The data folder.
        description: Its description.
        stems: Stems of the feature files that are looked for.
        listed: Games of all splits.
    """
    known = {(root / game).resolve() for game in listed}
    folders = _game_folders(root, PurePath(description.labels_file).parts, frozenset(stems)) - {root}
    unlisted = sorted(folder for folder in folders if folder.resolve() not in known)
    if not unlisted:
        return ()
    are = "is" if len(unlisted) == 1 else "are"
    return (
        f"{counted(len(unlisted), 'folder')} with labels or features {are} in no list of a split, so that "
        f"nothing reads them; the first: {unlisted[0].relative_to(root)}",
    )


def _game_folders(root: Path, labels: tuple[str, ...], stems: frozenset[str]) -> set[Path]:
    """Return the folders below ``root`` that have a label file or features of one of ``stems``."""
    folders = set()
    for file in files_below(root):
        found = part_and_stem(file.name)
        if found is not None and found[1] in stems:
            folders.add(file.parent)
        elif file.parts[-len(labels) :] == labels:
            folders.add(file.parents[len(labels) - 1])
    return folders
