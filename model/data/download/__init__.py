"""SoccerNet's published features and labels, fetched through the SoccerNet package and checked on arrival."""

from model.data.download.download import DownloadReport, download_soccernet
from model.data.download.request import LABELS

__all__ = ["LABELS", "DownloadReport", "download_soccernet"]
