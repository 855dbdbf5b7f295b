"""Use of a trained action-spotting network: scores, spots, analyses, highlights and reviews."""
