"""Seeing what a net hears: a report of pictures and sounds in a folder, which opens from disk."""
