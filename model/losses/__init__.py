"""Losses of the paper: segmentation (eq. 1-9), matching (Algorithm 1) and spotting (eq. 10)."""
