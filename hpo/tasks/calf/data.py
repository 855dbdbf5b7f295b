"""The games of a study, in a folder or behind a URI, as stores in the cache."""

from collections.abc import Callable
from pathlib import Path

from hpo.config.environment import cache_folder
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import Progress, RemoteSplit, SplitRef
from model.data.description import DatasetDescription, read_description
from model.data.remote import open_remote_split, remote_description
from model.data.store import Store, open_split, open_store
from model.errors import ConfigError, DataError


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
    return SplitRef(path=str(store.path), items=len(store.games), remote=remote)


def open_reference(split: SplitRef) -> Store:
    """Map a split on this machine.

    Raises:
        UserError: It is not to be had here.
    """
    path = Path(split.path)
    if split.remote is None or (path / "meta.json").is_file():
        return open_store(path).first_games(split.items)
    return _fetched(split.remote, path.name).first_games(split.items)


def _fetched(remote: RemoteSplit, name: str) -> Store:
    """The split from this machine's own cache, where its store is called ``name``."""
    cache = cache_folder()
    if (cache / name / "meta.json").is_file():
        return open_store(cache / name)
    store = open_remote_split(remote.uri, features=remote.features, split=remote.split, cache=cache)
    if store.path.name != name:
        raise DataError(f"the {remote.split} split at {remote.uri} changed since the study began")
    return store


def chosen_features(description: DatasetDescription, wanted: str | None) -> str:
    """The features ``wanted``, or the only ones that the data has.

    Raises:
        ConfigError: None are named and the data has several.
    """
    if wanted is not None:
        return wanted
    if len(description.features) == 1:
        return next(iter(description.features))
    raise ConfigError(
        "the data has several features, one must be chosen",
        known=", ".join(description.features),
        fix="add --features NAME",
    )
