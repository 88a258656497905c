"""A demo on a synthetic data set of videos whose picture and sound show the same kind of object."""
