"""Size and scores of a trained network, as tables, lines and JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from model.data.stores.store import Store
from model.metrics.average_map import LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S, AverageMap, SpottingScore
from model.weights.trained import TrainedNetwork

_ORIGINS = {
    "study": "trained by a study of this project",
    "published-2020": "original code (Keras)",
    "published-2021": "re-release (PyTorch); its segmentation scores are low where an action has happened",
}

_MEAN_ALL, _MEAN_PRESENT = "mean over all classes", "mean over classes present"


def network_lines(trained: TrainedNetwork) -> list[str]:
    """Describe origin, size and classes of a trained network."""
    config = trained.network.config
    trainable = sum(parameter.numel() for parameter in trained.network.parameters())
    frozen = sum(buffer.numel() for buffer in trained.network.buffers())
    return [
        f"network: {_ORIGINS[trained.origin]}",
        f"weights: {trainable:,} trainable and {frozen:,} non-trainable values, all finite and of the "
        "right shape",
        f"sizes:   {config.input_size} features per frame, f {config.class_features}, "
        f"r {config.receptive_field_frames}, chunks of {config.chunk_frames} frames "
        f"at {trained.frame_rate.per_second:g} frames/s, {config.predictions} spots per chunk",
        f"classes: {', '.join(trained.classes)}",
    ]


def scored_tolerances(trained: TrainedNetwork) -> dict[str, Sequence[float]]:
    """Return the tolerances to score a network with, in seconds, by name; its study's if they are others."""
    named: dict[str, Sequence[float]] = {"loose": LOOSE_TOLERANCES_S, "tight": TIGHT_TOLERANCES_S}
    if trained.tolerances_s not in named.values():
        named["study"] = trained.tolerances_s
    return named


def class_table(scores: Mapping[str, SpottingScore], store: Store) -> Table:
    """Return a table of Average-mAP by class and overall; also by visibility, if some actions are unshown.

    If a class has no actions in a column, the last two rows are the means over all classes and over the
    classes present; unshown actions are averaged over the classes that have any, so they have only the second
    mean.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    table.add_column("actions", justify="right")
    maps = {name: score.all for name, score in scores.items()}
    if (store.actions[:, 3] == 0).any():
        loose = scores["loose"]
        maps |= {"loose visible": loose.visible, "loose unshown": loose.unshown}
    for name in maps:
        table.add_column(name, justify="right")
    for index, name in enumerate(store.classes):
        count = int((store.actions[:, 2] == index).sum())
        table.add_row(name, f"{count:,}", *(_class_score(part, index) for part in maps.values()))
    number, means = f"{len(store.actions):,}", [f"{part.average_map:.4f}" for part in maps.values()]
    if all(part.present.all() for part in maps.values()):
        table.add_row("all", number, *means, style="bold")
        return table
    counted = [mean if part.counted.all() else "-" for mean, part in zip(means, maps.values(), strict=True)]
    present = [f"{part.average_map_present:.4f}" for part in maps.values()]
    table.add_row(_MEAN_ALL, number, *counted, style="bold")
    table.add_row(_MEAN_PRESENT, "", *present, style="bold")
    return table


def tolerance_table(scores: Mapping[str, SpottingScore], store: Store) -> Table:
    """Return a table of the mAP at every tolerance, tight to loose; both means if a class has no actions."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    means_at = {
        tolerance_s: means
        for score in scores.values()
        for tolerance_s, *means in zip(
            score.all.tolerances_s, score.all.per_tolerance, score.all.per_tolerance_present, strict=True
        )
    }
    names = [_MEAN_ALL, _MEAN_PRESENT] if _absent(store) else []
    if names:
        table.add_column("mean")
    by_tolerance = sorted(means_at.items())
    for tolerance_s, _ in by_tolerance:
        table.add_column(f"{tolerance_s:g} s", justify="right")
    for row in range(max(1, len(names))):
        table.add_row(*names[row : row + 1], *(f"{means[row]:.3f}" for _, means in by_tolerance))
    return table


def absent_line(store: Store) -> str | None:
    """Name the classes without actions in the split; None if every class has some."""
    if not (absent := _absent(store)):
        return None
    return (
        f"{len(store.classes) - len(absent)} of {len(store.classes)} classes have actions here; "
        f"without any: {', '.join(absent)}"
    )


def score_record(
    scores: Mapping[str, SpottingScore], store: Store, *, nms_window_s: float | None
) -> dict[str, Any]:
    """Return all scores as JSON; the AP of a class without actions is null."""
    return {
        "split": store.split,
        "games": len(store.games),
        "nms_window_s": "tolerance" if nms_window_s is None else nms_window_s,
        **{
            name: {part: _map_record(getattr(score, part), store) for part in ("all", "visible", "unshown")}
            for name, score in scores.items()
        },
    }


def _class_score(part: AverageMap, index: int) -> str:
    return f"{part.per_class[index]:.4f}" if part.present[index] else "-"


def _absent(store: Store) -> list[str]:
    """Return the classes without actions in the split."""
    there = set(store.actions[:, 2].tolist())
    return [name for index, name in enumerate(store.classes) if index not in there]


def _map_record(part: AverageMap, store: Store) -> dict[str, Any]:
    return {
        "average_map": part.average_map,
        "average_map_present": part.average_map_present,
        "classes_present": int(part.present.sum()),
        "per_class": {
            name: value if there else None
            for name, value, there in zip(store.classes, part.per_class, part.present, strict=True)
        },
        "per_tolerance": {
            f"{tolerance_s:g}": value
            for tolerance_s, value in zip(part.tolerances_s, part.per_tolerance, strict=True)
        },
    }
