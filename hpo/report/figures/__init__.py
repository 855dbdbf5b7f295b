"""Figures, one module each: numbers in, a matplotlib figure out."""
