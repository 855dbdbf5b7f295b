"""Sessions of a study: checks before the start, stages one after the other, stops."""
