"""Metrics of predicted spots and of activity proposals."""
