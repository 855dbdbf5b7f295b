"""A trained action-spotting network at work: scores, spots, analyses, highlights and reviews."""
