"""Training of lists of trials."""
