"""Memory-mapped stores of splits, how they are built, cached and fetched."""
