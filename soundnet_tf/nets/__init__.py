"""The nets: built, loaded, saved, found by name, and run by faster kernels."""
