"""Description of the task ``calf``: what commands need that read a study and do not train."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpo.tasks.base.description import TaskDescription
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.calf.sections import score_label
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.tried_lines import tried_lines
from model.recipe import Recipe
from model.timeline import FrameRate

PRESENT = "average_map_present"
"""Name of the metric that is the mean over the classes with actions."""


def _score(tolerances: str | Sequence[float], mean: str) -> Score:
    label = score_label(tolerances)
    every = Score("average_map", label, mean="over all classes")
    present = Score(PRESENT, f"{label} over classes present", mean="over classes present", beside=every)
    return present if mean == "present" else replace(every, beside=present)


class CalfDescription(TaskDescription[CalfStudy, GamesShape]):
    """Action spotting on games, scored by Average-mAP."""

    name = "calf"
    unit = "games"
    score = _score("loose", "all")
    study_file = CalfStudy
    data_shape = GamesShape
    takes_uri = True
    analyses = True
    finders = ("bayes", "grid-slicing")
    procedure = ("bayes", "grid-slicing", "final")

    def score_in(self, study: Mapping[str, Any]) -> Score:
        """Return Average-mAP with the tolerances and over the classes that ``scoring`` names."""
        scoring = study.get("scoring", {})
        return _score(scoring.get("tolerances", "loose"), scoring.get("mean", "all"))

    def units_note(self, shape: GamesShape, symbols: Collection[str]) -> str:
        """Return the units of the slicing parameters and of the receptive field, if the symbols hold them."""
        has_zones = any(symbol.startswith("K") for symbol in symbols)
        in_frames = ["K1 to K4"] * has_zones + ["r"] * ("r" in symbols)
        notes = []
        if in_frames:
            names, verb = " and ".join(in_frames), "are" if has_zones else "is"
            notes.append(f"{names} {verb} in frames, of which {shape.frame_rate.per_second:g} are one second")
        if "r_s" in symbols:
            notes.append("r_s is in seconds")
        return f"{'; '.join(notes)}." if notes else ""

    def describe_stage(self, study: CalfStudy, stage: str, shape: GamesShape) -> list[str]:
        """Describe the values of a grid or a sweep, in seconds."""
        return tried_lines(study, stage, shape.classes)

    def shape_from_json(self, record: dict[str, Any]) -> GamesShape:
        """Build a shape from the output of ``shape_to_json``."""
        return GamesShape(
            dims=record["dims"],
            classes=tuple(record["classes"]),
            frame_rate=FrameRate(record["frame_rate"]),
            # Records of older versions end here.
            stem=record.get("stem"),
            labels=record.get("labels"),
            label_texts=tuple(record.get("label_texts", ())),
            digest=record.get("digest", ""),
            recipe=None if record.get("recipe") is None else Recipe.read(record["recipe"]),
        )

    def shape_to_json(self, shape: GamesShape) -> dict[str, Any]:
        """Convert a shape to plain JSON, with the frame rate as a number."""
        return {
            "dims": shape.dims,
            "classes": list(shape.classes),
            "frame_rate": shape.frame_rate.per_second,
            "stem": shape.stem,
            "labels": shape.labels,
            "label_texts": list(shape.label_texts),
            "digest": shape.digest,
            "recipe": None if shape.recipe is None else shape.recipe.table(),
        }

    def data_tags(self, shape: GamesShape) -> Mapping[str, str]:
        """Return the recipe of features that ``hpo data extract`` made."""
        if shape.recipe is None:
            return {}
        return {"hpo.recipe": "; ".join(f"{name} {value}" for name, value in shape.recipe.table().items())}

    def presentation(self, stage: str) -> StagePresentation:
        """Return tables and figures of grids and sweeps, and the paper's results."""
        from hpo.tasks.calf.presentation.by_stage import PRESENTATIONS  # a trial draws nothing

        return PRESENTATIONS.get(stage, StagePresentation())


DESCRIPTION = CalfDescription()
