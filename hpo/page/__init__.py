"""Page of a study: one HTML file, assembled from the study's journal."""
