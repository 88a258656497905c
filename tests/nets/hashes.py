"""Nets as they were saved before model.json had hashes."""

import json


def forget_hashes(folder):
    """Remove every hash from the model.json of a saved net."""
    facts = json.loads((folder / 'model.json').read_text())
    kept = {key: value for key, value in facts.items() if key not in ('weights_sha256', 'tflite', 'files')}
    (folder / 'model.json').write_text(json.dumps(kept))
