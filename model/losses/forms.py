"""Forms of the losses by name. Study files name them, so this module does not import torch."""

from typing import Literal

SegmentationForm = Literal["paper", "published-2020"]
"""Form of equations (4) and (5); ``published-2020``: as in the original code, up to 0.25 smaller."""
Matching = Literal["one-to-one", "none"]
"""Matching of actions and predictions: Algorithm 1, or none for the ablation of Table 2."""
TemLoss = Literal["bmn", "context-aware"]
"""Loss of the temporal evaluation module: the published loss (``bmn``) or L_seg (``context-aware``)."""
