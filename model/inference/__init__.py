"""Inference: from network outputs on chunks to spots of halves."""
