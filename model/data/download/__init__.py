"""Download SoccerNet's published features and labels through the SoccerNet package and verify every file."""

from model.data.download.download import DownloadReport, download_soccernet
from model.data.download.request import LABELS

__all__ = ["LABELS", "DownloadReport", "download_soccernet"]
