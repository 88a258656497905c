"""Distillation: training a student on its teachers' posteriors, on one or several devices or machines."""
