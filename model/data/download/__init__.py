"""Download SoccerNet's published features and labels through the SoccerNet package and verify every file."""

from model.data.download.download import DownloadReport, download_soccernet

__all__ = ["DownloadReport", "download_soccernet"]
