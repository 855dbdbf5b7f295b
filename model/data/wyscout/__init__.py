"""Open Wyscout event data as a data set for action spotting (Pappalardo et al. 2019, CC BY 4.0)."""

from model.data.wyscout.convert import ConversionReport, convert_wyscout
from model.data.wyscout.features import FEATURE_NAMES

__all__ = ["FEATURE_NAMES", "ConversionReport", "convert_wyscout"]
