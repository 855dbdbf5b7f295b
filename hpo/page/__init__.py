"""The page of a study: one file of HTML, assembled from its journal."""
