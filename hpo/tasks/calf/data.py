"""Games of a study: from a folder or a URI to memory-mapped stores in the cache."""

from collections.abc import Callable
from pathlib import Path

from hpo.config.environment import cache_folder
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import DataRequest, Progress, RemoteSplit, SplitRef
from model.data.layout.description import DatasetDescription, read_description
from model.data.layout.game_files import real_folder
from model.data.stores.building import open_split
from model.data.stores.remote import open_remote_split, remote_description
from model.data.stores.store import Store, open_store
from model.errors import ConfigError, DataError
from model.weights.trained import TrainedNetwork
from model.wording import counted


def describe(place: str, cache: Path, labels: str | None = None) -> DatasetDescription:
    """Read the description of the data set at ``place``, a folder or a URI.

    Args:
        place: The data folder or URI.
        cache: Folder of memory-mapped data sets.
        labels: Version of SoccerNet's labels; None: what the data say.

    Raises:
        UserError: The data set is of an unknown kind, or it cannot be read.
    """
    return (
        remote_description(place, cache, labels) if is_uri(place) else read_description(Path(place), labels)
    )


def open_games(
    request: DataRequest, split: str, *, count: int | None = None, progress: Progress | None = None
) -> Store:
    """Open a split, and copy it into the cache first if it is not there.

    Args:
        request: The data, with the name of their features.
        split: ``train``, ``valid`` or ``test``.
        count: Number of games to use from the start of the split. None: all.
        progress: Reports what is being fetched and read.

    Raises:
        UserError: The data cannot be read or are invalid.
    """
    assert request.features is not None, "the features are chosen before games are opened"

    def show(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(f"{what} {split} split", done, total) if progress else None

    if is_uri(request.place):
        return open_remote_split(
            request.place,
            features=request.features,
            split=split,
            cache=request.cache,
            labels=request.labels,
            count=count,
            fetching=show("fetching"),
            reading=show("reading"),
        )
    return open_split(
        Path(request.place),
        features=request.features,
        split=split,
        cache=request.cache,
        labels=request.labels,
        count=count,
        progress=show("reading"),
    )


def require_actions(store: Store) -> None:
    """Check that a split has actions.

    Raises:
        DataError: It has none, so that nothing can be learnt from it or scored on it.
    """
    if not len(store.actions):
        use = "train on" if store.split == "train" else "score"
        raise DataError(
            f"split {store.split!r} has no actions to {use}",
            classes=", ".join(store.classes),
            fix="add games with annotated actions of these classes to its list",
        )


def require_distinct(known: Store, scored: Store, place: str) -> None:
    """Check that no game of a split is also in one that training or the choice of a configuration has used.

    Args:
        known: The split that was used.
        scored: The split to score.
        place: Folder or URI of the data. In a folder, a link to a game is that game.

    Raises:
        DataError: Both splits have a game.
    """
    names = {_game_at(place, game): game for game in known.games}
    both = {game: names[found] for game in scored.games if (found := _game_at(place, game)) in names}
    if both:
        game, other = next(iter(both.items()))
        why = "show what was learnt by heart" if known.split == "train" else "favour what was chosen on them"
        raise DataError(
            f"{counted(len(both), 'game')} of split {scored.split!r} {'is' if len(both) == 1 else 'are'} "
            f"also in split {known.split!r}: scores would {why}",
            first=game if game == other else f"{game}, the same folder as {other}",
            fix="take them out of one of the two lists",
        )


def _game_at(place: str, game: str) -> str:
    return game if is_uri(place) else real_folder(Path(place), game)


def require_same_dims(train: Store, other: Store) -> None:
    """Check that the features of a split are as wide as those of the training split.

    Raises:
        ConfigError: They are not.
    """
    if train.dims != other.dims:
        raise ConfigError(
            f"features have {train.dims} dimensions in {train.split} and {other.dims} in {other.split}",
            fix="extract the features of both in the same way",
        )


def reference(store: Store, request: DataRequest) -> SplitRef:
    """Return the reference to a split that was opened for ``request``."""
    remote = None
    if is_uri(request.place) and request.features is not None:
        remote = RemoteSplit(
            uri=request.place, features=request.features, split=store.split, labels=store.labels
        )
    return SplitRef(path=str(store.path), items=len(store.games), remote=remote)


def open_reference(split: SplitRef) -> Store:
    """Open a split on this machine, and fetch it first if the machine has no copy.

    Raises:
        UserError: The split is not available on this machine.
    """
    path = split.folder
    if split.remote is None or (path / "meta.json").is_file():
        return open_store(path).first_games(split.items)
    return _fetched(split.remote, path.name, split.items)


def _fetched(remote: RemoteSplit, name: str, count: int) -> Store:
    """Fetch the store ``name`` into this machine's own cache."""
    store = open_remote_split(
        remote.uri,
        features=remote.features,
        split=remote.split,
        cache=cache_folder(),
        labels=remote.labels,
        count=count,
    )
    if store.path.name != name:
        raise DataError(
            f"the {remote.split} split at {remote.uri} has changed since the study began",
            fix="restore the data, or start a new study",
        )
    return store


def chosen_features(description: DatasetDescription, wanted: str | None) -> str:
    """Return ``wanted``, or the name of the only features of the data.

    Raises:
        ConfigError: No features are named and the description has several.
    """
    if wanted is not None:
        return wanted
    if len(description.features) == 1:
        return next(iter(description.features))
    raise ConfigError(
        "the description of the data names several kinds of features, expected the name of one",
        known=", ".join(description.features),
        fix="add --features NAME",
    )


def request_for(
    trained: TrainedNetwork, place: str, cache: Path, *, features: str | None, force_features: bool = False
) -> DataRequest:
    """Return the request for data that a trained network is to read.

    Features and labels are those of its training, as far as its file says.

    Args:
        trained: The network.
        place: Folder or URI of the data.
        cache: Folder of memory-mapped data sets.
        features: Name of other features, or of the same. None: those of the training.
        force_features: Whether other features than those of the training are allowed.

    Raises:
        UserError: The data cannot be read, or the features are others than those of the training.
    """
    description = describe(place, cache)
    unused = description.unused_labels
    labels = trained.labels if unused is not None else None
    wanted = features or trained.stem
    chosen = chosen_features(description, wanted)
    trained.check_stem(description.feature_stem(chosen), forced=force_features)
    return DataRequest(place=place, features=chosen, counts=None, cache=cache, labels=labels)


def open_for(
    trained: TrainedNetwork,
    place: str,
    cache: Path,
    split: str,
    *,
    features: str | None,
    force_features: bool = False,
    count: int | None = None,
    progress: Progress | None = None,
) -> Store:
    """Open a split for a trained network to score; the other arguments are those of ``request_for``.

    Args:
        trained: The network.
        place: Folder or URI of the data.
        cache: Folder of memory-mapped data sets.
        split: ``train``, ``valid`` or ``test``.
        features: Name of the features.
        force_features: Whether other features than those of the training are allowed.
        count: Number of games to use from the start of the split. None: all.
        progress: Reports what is being fetched and read.

    Raises:
        UserError: As ``request_for``; or the split has no actions, or does not fit the network.
    """
    request = request_for(trained, place, cache, features=features, force_features=force_features)
    store = open_games(request, split, count=count, progress=progress)
    require_actions(store)
    if not force_features:
        trained.check_recipe(store.recipe)
    trained.check_fits(store)
    return store
