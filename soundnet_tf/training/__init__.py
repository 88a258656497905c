"""Distillation: a student learns from its teachers' posteriors, on one device, several, or several machines."""
