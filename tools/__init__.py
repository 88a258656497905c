"""Generators of the files of this checkout that are not written by hand."""
