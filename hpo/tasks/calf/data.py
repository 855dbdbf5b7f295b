"""Games of a study: from a folder or a URI to memory-mapped stores in the cache."""

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
    """Read the description of the data set at ``place``, a folder or a URI.

    Raises:
        UserError: The data set is of an unknown kind, or it cannot be read.
    """
    return remote_description(place, cache) if is_uri(place) else read_description(Path(place))


def open_games(
    place: str, *, features: str, split: str, cache: Path, progress: Progress | None = None
) -> Store:
    """Open a split, and copy it into the cache first if it is not there.

    Raises:
        UserError: The data cannot be read or are invalid.
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
    """Return the reference to a split that was opened from ``place``."""
    remote = RemoteSplit(uri=place, features=features, split=store.split) if is_uri(place) else None
    return SplitRef(path=str(store.path), items=len(store.games), remote=remote)


def open_reference(split: SplitRef) -> Store:
    """Open a split on this machine, and fetch it first if the machine has no copy.

    Raises:
        UserError: The split is not available on this machine.
    """
    path = Path(split.path)
    if split.remote is None or (path / "meta.json").is_file():
        return open_store(path).first_games(split.items)
    return _fetched(split.remote, path.name).first_games(split.items)


def _fetched(remote: RemoteSplit, name: str) -> Store:
    """Open the store ``name`` in this machine's own cache, and fetch it first if it is not there."""
    cache = cache_folder()
    if (cache / name / "meta.json").is_file():
        return open_store(cache / name)
    store = open_remote_split(remote.uri, features=remote.features, split=remote.split, cache=cache)
    if store.path.name != name:
        raise DataError(
            f"the {remote.split} split at {remote.uri} has changed since the study began",
            fix="restore the data, or start a new study",
        )
    return store


def chosen_features(description: DatasetDescription, wanted: str | None) -> str:
    """Return ``wanted``, or the name of the only features of the data.

    Raises:
        ConfigError: No features are named and the data has several.
    """
    if wanted is not None:
        return wanted
    if len(description.features) == 1:
        return next(iter(description.features))
    raise ConfigError(
        "the data has several kinds of features, expected the name of one",
        known=", ".join(description.features),
        fix="add --features NAME",
    )
