"""Time of a search among many clips, beside scikit-learn's.

python -m benchmarks.search
python -m benchmarks.search --clips=1000000 --channels=1024
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from soundnet_tf.inference import search

TOP, TIMES = 10, 21


def taken_ms(work: Callable[[], Any]) -> float:
    """The median over TIMES calls."""
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


def main() -> None:
    """Print a row per way of searching."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--clips', type=int, default=100_000)
    parser.add_argument('--channels', type=int, default=256, help='of the layer: pool5 has 256')
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.standard_normal((given.clips, given.channels), np.float32))
    query = np.abs(rng.standard_normal(given.channels, np.float32))
    began = time.perf_counter()
    names = [f'{clip}.wav' for clip in range(given.clips)]
    index = search.Index(names, vectors, 'pool5', dict.fromkeys(search.SETTINGS, ''))
    made_s = time.perf_counter() - began
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbors = NearestNeighbors(algorithm='brute').fit(unit)

    def theirs() -> list[int]:
        # On unit vectors the nearest by distance have the largest cosine, and scikit-learn is faster by distance.
        return neighbors.kneighbors([query / np.linalg.norm(query)], TOP, return_distance=False)[0].tolist()

    found = [int(match.path.removesuffix('.wav')) for match in index.nearest(query, TOP)]
    if found != theirs():
        raise SystemExit('the two searches find other clips')
    ours_ms, theirs_ms = taken_ms(lambda: index.nearest(query, TOP)), taken_ms(theirs)
    print(f'{given.clips:,} clips of {given.channels} channels; the index is made in {made_s:.2f} s')
    print(f'{"soundnet_tf.inference.search":<30} {ours_ms:8.1f} ms a query')
    print(f'{"scikit-learn":<30} {theirs_ms:8.1f} ms a query; ours takes {ours_ms / theirs_ms:.2f} of it')


if __name__ == '__main__':
    main()
