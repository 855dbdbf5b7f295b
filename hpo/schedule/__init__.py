"""The one adapter to Ray Tune."""
