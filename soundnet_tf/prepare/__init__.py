"""A video becomes records: `extract` takes out sound and frames, `label` asks the teachers, `encode` writes.

The runners (`local`) call the same stage functions.
"""
