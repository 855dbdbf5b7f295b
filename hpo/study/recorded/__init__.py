"""Answers from recorded studies: tables, verdicts, comparisons, the catalogue and repeated trials."""
