"""Scores of predicted spots."""
