"""Command ``hpo data new``: the first description and study file of a data set of one's own."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import ConfigError, DataError
from model.shell import shell_line
from model.wording import counted

if TYPE_CHECKING:
    from model.data.layout.description import DatasetDescription

STUDY_FILE = "study.toml"


def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Data folder, which must exist.")],
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER", help="Feature vectors per second. Default: the command asks on a terminal."
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="LABEL,...", help="Labels to spot. Default: all labels in the label files."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Stems of the feature files (VIDEO for 1_VIDEO.npy). Default: those in the folder.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the data set. Default: that of the folder.")
    ] = None,
    labels_file: Annotated[
        str, typer.Option(metavar="FILE", help="Name of the label file in every game folder.")
    ] = "Labels.json",
) -> None:
    """Describe a data set of your own.

    Writes dataset.toml (classes, frame rate, features, splits) and study.toml, a study file with zones and
    ranges in seconds and tolerances of the score. They follow from the spacing of the actions in the label
    files; without label files they are the paper's, with its narrowest zones. Existing files are never
    replaced; a dataset.toml without features, as hpo data labels writes it, gets them.
    """
    from hpo.tasks.calf.first_study import ZONE_UNITS, first_study
    from model.data.checks.survey import twins_notice
    from model.data.labels.label_file import label_files
    from model.data.labels.spacing import most_within, seconds_of_parts, spacing
    from model.data.layout.description import DESCRIPTION_FILE, SPLITS
    from model.files import write_whole

    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}", fix="create it, with one folder for each game")
    if (folder / STUDY_FILE).exists():
        raise _existing(folder / STUDY_FILE, "move it away")
    stems = None if features is None else _typed_stems(features)
    if (folder / DESCRIPTION_FILE).exists():
        for option, given in (("--classes", classes), ("--name", name)):
            if given is not None:
                raise _existing(folder / DESCRIPTION_FILE, f"edit it and leave {option} out, or move it away")
        description, write = _completed(folder, rate, stems)
    else:
        description, write = _described(folder, rate, stems, classes, name, labels_file)
    files = label_files(folder, description.labels_file)
    frame_rate = description.rate_of(next(iter(description.features.values())))
    between = spacing(files, description, frame_rate)
    study = first_study(between, seconds_of_parts(files, description), frame_rate)
    most = most_within(files, description, frame_rate, study.chunk_s)
    write()
    text = study.toml(dataset=description.name, most_actions=most)
    write_whole(folder / STUDY_FILE, text.encode())
    typer.echo(f"{folder / DESCRIPTION_FILE}: {counted(len(files), 'label file')}, {frame_rate}")
    for label, own in between.items():
        unit = study.units_s[label]
        zones = " ".join(f"{factor * unit:g}" for factor in ZONE_UNITS)
        typer.echo(f"  {label}: {counted(own.actions, 'action')}, zones {zones} s ({study.origins[label]})")
    if twins := sum(own.twins for own in between.values()):
        typer.echo(f"note: {twins_notice(twins)}")
    typer.echo(f"{folder / STUDY_FILE}: zones and ranges in seconds")
    missing = [f"{split}.txt" for split in SPLITS if not (folder / f"{split}.txt").is_file()]
    if missing:
        typer.echo(f"missing: {', '.join(missing)}, which list the games of a split, one folder a line")
    for file in _missing_features(files, description.labels_file, list(description.features.values())):
        typer.echo(f"missing: features; of part 1 of this game: {file}, an array (frames, dimensions)")
    typer.echo(f"next: {shell_line('hpo', 'data', 'check', folder)}")
    several = ("--features", list(description.features)[-1]) if len(description.features) > 1 else ()
    run = ("hpo", "run", "bayes", "--data", folder, *several, "--study-file", folder / STUDY_FILE)
    typer.echo(f"then: {shell_line(*run, '--dry-run')}")


Described = tuple["DatasetDescription", Callable[[], None]]
"""A description, and what writes it."""


def _described(
    folder: Path,
    rate: float | None,
    stems: Sequence[str] | None,
    classes: str | None,
    name: str | None,
    labels_file: str,
) -> Described:
    """Describe a folder from what was typed, and from its label and feature files."""
    from model.data.labels.label_file import label_files, labels_in
    from model.data.layout.description import write_description

    found = labels_in(label_files(folder, labels_file))
    texts = _texts(classes, list(found), labels_file)
    per_second = _checked_rate(rate)
    stems = stems or _stems(folder)
    _check_names(stems, per_second)
    description = _description(
        name or folder.resolve().name,
        texts,
        ignored=[text for text in found if text not in texts],
        stems=stems,
        labels_file=labels_file,
        rate=per_second,
    )
    return description, lambda: write_description(folder, description)


def _completed(folder: Path, rate: float | None, stems: Sequence[str] | None) -> Described:
    """Add features and their rate to the description in a folder, if it has none.

    Raises:
        DataError: The description has features, and others or a rate are given.
    """
    from model.data.layout.description import DESCRIPTION_FILE, parse_description, read_description
    from model.data.layout.description_text import description_document, text_with
    from model.files import write_whole

    file = folder / DESCRIPTION_FILE
    if description_document(folder).get("features"):
        for option, given in (("--features", stems), ("--rate", rate)):
            if given is not None:
                raise _existing(file, f"edit it and leave {option} out, or move it away")
        return read_description(folder), lambda: None
    per_second = _checked_rate(rate)
    named = _by_name(stems or _stems(folder))
    _check_names(list(named.values()), per_second)
    table = {name: {"stem": stem, "frame_rate": per_second} for name, stem in named.items()}
    text = text_with(folder, {"features": table})
    return parse_description(text, source=str(file)), lambda: write_whole(file, text.encode())


def _existing(file: Path, fix: str) -> DataError:
    return DataError("the file exists already and is not replaced", file=file, fix=fix)


def _missing_features(label_files: Sequence[Path], labels_file: str, stems: Sequence[str]) -> list[Path]:
    """Return the first feature file of each stem that the first game lacks."""
    from model.data.layout.game_files import feature_name, feature_parts

    # The name of the label file may have folders of its own, below that of the game.
    folders = [file.parents[len(PurePath(labels_file).parts) - 1] for file in label_files[:1]]
    lacking = ((folder, stem) for folder in folders for stem in stems if not feature_parts(folder, stem))
    return [folder / feature_name(1, stem) for folder, stem in lacking]


def _texts(typed: str | None, found: Sequence[str], labels_file: str) -> list[str]:
    """Return the labels to spot.

    Raises:
        ConfigError: None are known, or a typed one is in no label file.
    """
    if typed is None and not found:
        raise ConfigError(
            f"the classes are unknown: no folder has a {labels_file} with annotations",
            fix="give them with --classes LABEL,..., or another file name with --labels-file",
        )
    texts = found if typed is None else [text.strip() for text in typed.split(",") if text.strip()]
    absent = [text for text in texts if found and text not in found]
    if absent or not texts:
        raise ConfigError(
            f"expected --classes with labels of the label files, got {', '.join(absent) or 'none'}",
            known=", ".join(found),
        )
    return list(texts)


def _checked_rate(typed: float | None) -> float:
    """Return the rate that was typed; on a terminal, ask for one.

    Raises:
        ConfigError: There is none, or it is not one of features.
    """
    from model.data.layout.description_table import HIGHEST_RATE
    from model.timeline import FrameRate

    if typed is None and not sys.stdin.isatty():
        raise ConfigError(
            "the frame rate is unknown", fix="give the feature vectors per second with --rate NUMBER"
        )
    rate = float(typer.prompt("Feature vectors per second", type=float)) if typed is None else typed
    try:
        FrameRate(rate)
    except ConfigError as error:
        raise ConfigError(f"--rate: {error.message}") from None
    if rate > HIGHEST_RATE:
        raise ConfigError(
            f"--rate: expected at most {HIGHEST_RATE:g} feature vectors per second, got {rate:g}"
        )
    return rate


def _check_names(stems: Sequence[str], per_second: float) -> None:
    """Check that the names of the feature files state no other rate.

    Raises:
        ConfigError: One of ``stems`` states another rate than ``per_second``.
    """
    from model.data.layout.rates import stated_rate

    for stem in stems:
        stated = stated_rate(stem)
        if stated is not None and stated.per_second != per_second:
            raise ConfigError(
                f"--rate: the files 1_{stem}.npy have {stated.per_second:g} feature vectors per second by "
                f"their name, got {per_second:g}",
                fix=f"give --rate {stated.per_second:g}, or rename the files; of features of several rates, "
                "name some with --features, and add the others to [features] in dataset.toml",
            )


def _typed_stems(typed: str) -> list[str]:
    """Return the stems that were typed, each once.

    Raises:
        ConfigError: There are none, or one is the name of a file.
    """
    from model.data.layout.game_files import part_and_stem

    stems = [stem.strip() for stem in typed.split(",") if stem.strip()]
    if not stems:
        raise ConfigError(f"expected --features with stems of feature files such as VIDEO, got {typed!r}")
    for stem in stems:
        if stem.endswith(".npy"):
            _, own = part_and_stem(stem) or (None, stem.removesuffix(".npy"))
            raise ConfigError(
                f"expected --features with stems of feature files, got the file name {stem}",
                fix=f"give --features {own}",
            )
    return list(dict.fromkeys(stems))


def _by_name(stems: Sequence[str]) -> dict[str, str]:
    """Return the name of features on the command line -> their stem.

    Raises:
        ConfigError: Two stems give the same name.
    """
    names: dict[str, str] = {}
    for stem in stems:
        other = names.setdefault(stem.lower(), stem)
        if other != stem:
            raise ConfigError(
                f"the feature files {other} and {stem} would both be named {stem.lower()}",
                fix="name one with --features, and add the other to [features] in dataset.toml",
            )
    return names


def _stems(folder: Path) -> list[str]:
    """Return the stems of the feature files in all game folders.

    Raises:
        ConfigError: There are none.
    """
    from model.data.layout.game_files import feature_name, stems_below
    from model.files import files_below

    if stems := stems_below(folder):
        return stems
    unknown = "the features are unknown: no game folder has feature files such as 1_VIDEO.npy"
    if other := min((file for file in files_below(folder) if file.suffix == ".npy"), default=None):
        raise ConfigError(
            unknown,
            got=other.relative_to(folder),
            fix="put the files of each game into a folder, and begin their names with the part (half) of the "
            f"game: GAME/{feature_name(1, other.stem)} is the first part",
        )
    raise ConfigError(unknown, fix="give their stems with --features NAME,...")


def _description(
    name: str,
    texts: Sequence[str],
    *,
    ignored: Sequence[str],
    stems: Sequence[str],
    labels_file: str,
    rate: float,
) -> "DatasetDescription":
    from model.data.layout.description import SPLITS, DatasetDescription
    from model.data.layout.description_text import classes_of_labels
    from model.timeline import FrameRate

    patterns = classes_of_labels(
        texts,
        fix="choose other labels with --classes, or first write a dataset.toml with name, labels_file and "
        '[classes], such as NAME = ["label", "label"]',
    )
    return DatasetDescription(
        name=name,
        frame_rate=None,
        rates={stem: FrameRate(rate) for stem in stems},
        labels_file=labels_file,
        classes=tuple(patterns),
        patterns=patterns,
        ignored=tuple(ignored),
        features=_by_name(stems),
        splits={split: f"{split}.txt" for split in SPLITS},
    )
