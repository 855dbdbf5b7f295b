"""Settings with which the published code of BMN made the vectors: the ``opt`` of their recipe."""

import json
from functools import cache
from typing import Any

from parity.golden import FOLDER, Case, files

from model.metrics.soft_nms import SoftNmsConfig
from model.networks.bmn import BmnConfig
from model.networks.boundary_matching import Sampling

RECIPE = "7_bmn_state_recipe.json"
files(RECIPE)


@cache
def recipes() -> dict[str, Any]:
    return json.loads((FOLDER / RECIPE).read_text(encoding="utf-8"))


def options(case: Case, **size: int) -> dict[str, Any]:
    """``opt`` of the case, else of the recipe's cases of this ``size``, else of all of them.

    An option that several of them set to different values is left out: then nobody knows which one applies.
    """
    every = {name: content["opt"] for name, content in recipes().items()}
    if case.name in every:
        return every[case.name]
    near = [opt for opt in every.values() if all(opt[key] == value for key, value in size.items())]
    first, *others = near or every.values()
    return {key: value for key, value in first.items() if all(opt[key] == value for opt in others)}


def sampling(opt: dict[str, Any], *, bins: int | None = None) -> Sampling:
    """How the published code sampled proposals; ``bins`` where the vectors themselves show their number."""
    return Sampling(
        bins=bins or opt["num_sample"],
        points_per_bin=opt["num_sample_perbin"],
        boundary_ratio=opt["prop_boundary_ratio"],
    )


def network(opt: dict[str, Any]) -> BmnConfig:
    """Sizes of the published network."""
    return BmnConfig(
        input_size=opt["feat_dim"],
        positions=opt["temporal_scale"],
        bins=opt["num_sample"],
        points_per_bin=opt["num_sample_perbin"],
        boundary_ratio=opt["prop_boundary_ratio"],
    )


def suppression(opt: dict[str, Any]) -> SoftNmsConfig:
    """Settings of soft-NMS."""
    return SoftNmsConfig(
        alpha=opt["soft_nms_alpha"], low=opt["soft_nms_low_thres"], high=opt["soft_nms_high_thres"]
    )
