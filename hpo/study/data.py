"""The games of a study: a folder of this machine, or a URI of which every machine has a copy."""

from collections.abc import Callable
from pathlib import Path

from hpo.config.environment import without_passwords
from hpo.trial.task import RemoteSplit, SplitRef
from model.data.description import DatasetDescription, read_description
from model.data.remote import open_remote_split, remote_description
from model.data.store import Store, open_split
from model.errors import ConfigError

Progress = Callable[[str, int, int], None]
"""Called with (what is being read, games or files done, all of them)."""


def is_uri(place: str) -> bool:
    """Whether a study's data lie elsewhere."""
    return "://" in place


def chosen_place(folder: Path | None, uri: str | None, *, default: Path) -> str:
    """Where the games lie: what was typed, else ``default``; a folder as an absolute path.

    Raises:
        ConfigError: Both were typed; or no URI, or one with a password, which journal and MLflow would show.
    """
    if uri is None:
        return str((folder or default).absolute())
    if folder is not None:
        raise ConfigError("expected --data or --data-uri, got both")
    if not is_uri(uri):
        raise ConfigError(
            f"expected --data-uri s3://BUCKET/FOLDER or the like, got {uri!r}: a folder is --data"
        )
    if "?" in uri or without_passwords(uri) != uri:
        raise ConfigError(
            "the URI of the data holds a user, a password or a query, which journal and MLflow would show",
            fix="set them where the file system looks for them on every machine, as ~/.aws for s3://",
        )
    return uri.rstrip("/")


def describe(place: str, cache: Path) -> DatasetDescription:
    """What kind of data set lies there.

    Raises:
        UserError: None that is known, or it cannot be read.
    """
    return remote_description(place, cache) if is_uri(place) else read_description(Path(place))


def open_games(
    place: str, *, features: str, split: str, cache: Path, progress: Progress | None = None
) -> Store:
    """Open one split, read into the cache first where it is not in it.

    Raises:
        UserError: The data cannot be read, or are wrong.
    """

    def show(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(f"{what} {split} split", done, total) if progress else None

    if is_uri(place):
        return open_remote_split(
            place,
            features=features,
            split=split,
            cache=cache,
            fetching=show("fetching"),
            reading=show("reading"),
        )
    return open_split(Path(place), features=features, split=split, cache=cache, progress=show("reading"))


def reference(store: Store, place: str, features: str) -> SplitRef:
    """What a trial is told of a split that was opened from ``place``."""
    remote = RemoteSplit(uri=place, features=features, split=store.split) if is_uri(place) else None
    return SplitRef(path=str(store.path), games=len(store.games), remote=remote)
