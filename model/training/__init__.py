"""Training of arrays of trials."""
