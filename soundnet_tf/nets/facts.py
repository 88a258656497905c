"""What the model.json of a saved net may state."""

from collections.abc import Mapping
from typing import Any

from soundnet_tf import storage

SPEEDS = 0.5, 2.0
"""The slowest and the fastest speed of a sound that tags are taken at."""


def check(facts: Mapping[str, Any]) -> None:
    """Raise ValueError for values that readers could not use."""
    thresholds = facts.get('confidence_threshold', {})
    if not isinstance(thresholds, dict) or not all(_is_number(0, value, 1) for value in thresholds.values()):
        raise ValueError(f'confidence_threshold must be from 0 to 1 for each head, but is {thresholds!r}')
    speeds = facts.get('speeds', [1])
    if not isinstance(speeds, list) or not speeds or not all(map(is_speed, speeds)):
        raise ValueError(f'speeds must be a list of numbers from {SPEEDS[0]:g} to {SPEEDS[1]:g}, but is {speeds!r}')
    tflite, files = _object(facts, 'tflite'), _object(facts, 'files')
    for name in files:
        _object(files, name)
    hashes = [facts.get('weights_sha256'), tflite.get('sha256'), *(about.get('sha256') for about in files.values())]
    if not all(one is None or isinstance(one, str) for one in hashes):
        raise ValueError('a sha256 is not text')
    _object(facts, 'origin')


def is_speed(value: Any) -> bool:
    """Whether tags can be taken at this speed of a sound."""
    return _is_number(SPEEDS[0], value, SPEEDS[1])


def _is_number(least: float, value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _object(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f'{storage.printable(key)} is of type {type(found).__name__}, not a JSON object')
    return found
