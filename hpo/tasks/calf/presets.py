"""Presets of study files: settings in which the published codes differ from the paper.

Two settings are not among them: ``lambda_seg``, a hyperparameter, and the number of predictions.
"""

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["paper", "published-2020", "published-2021"]

_PRESETS: Mapping[PresetName, Mapping[str, Mapping[str, Any]]] = {
    "paper": {},
    # The original Keras code, which made the paper's numbers.
    "published-2020": {
        "network": {"norm_eps": 1e-3, "norm_momentum": 0.01, "norm_unbiased": False},
        "training": {"sampler": "paper", "adam_eps": 1e-7},
        "losses": {"segmentation_form": "published-2020"},
        "scoring": {"nms_window_s": "tolerance"},
    },
    # The PyTorch re-release for SoccerNet-v2.
    "published-2021": {
        "network": {"norm_eps": 1e-3, "norm_momentum": 0.01, "norm_unbiased": True},
        "training": {"sampler": "balanced", "batch_size": 32, "adam_eps": 1e-8},
        "losses": {"segmentation_form": "paper"},
        "scoring": {"nms_window_s": 20.0},
    },
}


def with_preset(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add the settings of its preset to a study file, whose own settings take precedence."""
    filled = dict(document)
    tables = next((tables for name, tables in _PRESETS.items() if name == filled.get("preset")), {})
    for name, settings in tables.items():
        own = filled.get(name, {})
        # A value that is not a table stays as it is: the validation reports it.
        filled[name] = {**settings, **own} if isinstance(own, Mapping) else own
    return filled
