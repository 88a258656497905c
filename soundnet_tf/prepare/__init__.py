"""From videos to records: `extract` decodes sound and frames, `label` runs the teachers, `encode` makes records.

Both runners (`local`, `beam`) call the same stage functions.
"""
