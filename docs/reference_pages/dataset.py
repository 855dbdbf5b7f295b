"""Page of the keys of ``dataset.toml``."""

from collections.abc import Iterator

from model.data.layout.description_table import HIGHEST_RATE, KEYS
from model.timeline import MOST_PARTS
from reference_pages.markdown import code, table

_INTRODUCTION = """# Keys of dataset.toml

`dataset.toml` lies in the data folder. It describes the classes, labels, features and splits of a data set.
Unknown keys
are errors, and one message lists all mistakes of the file. Without the file, a folder whose games have
`Labels.json` or
`Labels-v2.json` is read as SoccerNet's; if there are both, the version that more games have is read, else v1.

[How to describe your data](../how-to/data.md) shows a whole file.
"""
_KEYS: dict[str, tuple[str, str, str, str]] = {
    "name": ("text", "none", "required", "Name of the data set in tables, studies and MLflow."),
    "labels": (
        '`"v1"` or `"v2"`',
        "none",
        "none",
        "Version of SoccerNet's own labels. It replaces `labels_file`, `classes` and `ignored_labels`, "
        "which are "
        "refused beside it, and `name` becomes optional.",
    ),
    "frame_rate": (
        f"number, above 0, at most {HIGHEST_RATE:g}",
        "feature vectors per second",
        "the rate of published features, else 2",
        "Rate of all features that declare none of their own.",
    ),
    "parts": (
        f"whole number, 1 to {MOST_PARTS}",
        "parts",
        "those that the files of a game name",
        "Number of halves or periods of every game.",
    ),
    "labels_file": (
        "text",
        "none",
        "required without `labels`",
        "Name of the JSON file with the annotations in every game's folder.",
    ),
    "ignored_labels": (
        "list of texts",
        "none",
        "`[]`",
        "Patterns of labels to ignore. A label that fits neither a class nor one of these patterns is an "
        "error.",
    ),
    "classes": (
        "table: class = list of patterns",
        "none",
        "required without `labels`",
        "Classes in the order of their numbers, each with the label texts that belong to it. `*` matches "
        "any text, `?` "
        "one character; case is ignored. A text that equals the label, also among `ignored_labels`, goes "
        "before `*` and `?`, and of several matches the first wins. A class name has letters, digits, `.`, "
        "`_`, `-` and "
        "spaces.",
    ),
    "features": (
        'table: name = "STEM" or { stem = "STEM", frame_rate = RATE }',
        "feature vectors per second (`frame_rate`)",
        "`{}`",
        "Names for `--features`. The files of a stem are `1_STEM.npy`, `2_STEM.npy`, ... in every game's "
        "folder. "
        "`frame_rate` is for features whose rate differs from that of the data set. Stems that are not "
        "named here can be "
        "used too.",
    ),
    "splits": (
        "table: `train`, `valid`, `test` = path",
        "none",
        "`train.txt`, `valid.txt` and `test.txt`",
        "Text files with the path of one game per line. Paths are relative to the data folder. "
        "Without any list, those of the SoccerNet package are used if it is installed.",
    ),
}


def page() -> str:
    """Return the page."""
    return f"{_INTRODUCTION}\n{table(('key', 'type', 'unit', 'default', 'meaning'), _rows())}"


def _rows() -> Iterator[tuple[str, ...]]:
    for key in KEYS:
        yield code(key), *_KEYS[key]
