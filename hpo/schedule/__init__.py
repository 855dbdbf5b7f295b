"""Running trials on Ray: adapter to Ray Tune, early stopping, clusters and jobs."""
