"""A plan of a study of action spotting whose data nobody opens."""

from typing import Any

from hpo.study.plan import StudyPlan
from hpo.tasks.base.registry import load_study, parse_study
from hpo.tasks.base.splits import SplitRef
from hpo.tasks.calf.shape import GamesShape
from model.timeline import FrameRate


def calf_plan(
    tables: dict[str, Any] | None = None, *, classes: tuple[str, ...] = ("goal",), dims: int = 8
) -> StudyPlan:
    """Of the installed study file ``calf``, or of ``tables``."""
    return StudyPlan(
        study=parse_study({"task": "calf", **tables}, file="test") if tables else load_study("calf"),
        data="/data",
        dataset="test/TEST",
        features="TEST",
        shape=GamesShape(dims=dims, classes=classes, frame_rate=FrameRate(2.0)),
        train=SplitRef(path="/cache/a", items=2),
        valid=SplitRef(path="/cache/b", items=1),
        data_digest="a+b",
        precision="float32",
        device="cpu",
        seed=7,
    )
