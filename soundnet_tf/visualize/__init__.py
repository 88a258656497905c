"""Visualize what a model has learned: an HTML report in one folder, which opens from disk."""
