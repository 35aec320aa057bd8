"""Data to a summary: what a prior needs to know of a learning task."""
