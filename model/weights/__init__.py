"""Trained networks in files: the format of this project, and the published formats."""
