"""Evaluation of features on labelled sounds: data sets, protocols, linear classifiers, results."""
