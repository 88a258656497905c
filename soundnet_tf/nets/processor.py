"""What this machine's processor can do, as Linux tells it; elsewhere nothing is known of it."""

import functools
import pathlib


@functools.cache
def flags() -> frozenset[str]:
    """Its instruction sets, such as `avx512f`."""
    told = pathlib.Path('/proc/cpuinfo')
    lines = told.read_text().splitlines() if told.exists() else []
    return frozenset(next((line for line in lines if line.startswith('flags')), '').split())
