"""One pass over all sounds: the top sounds of each unit, clip embeddings, and the predictions of the heads."""

import collections
import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry, storage
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.inference.embedding import Clip, Embedding, Embeddings, Opened, Path
from soundnet_tf.inference.stream import blocks_of
from soundnet_tf.spec import NetSpec
from soundnet_tf.storage import arrays
from soundnet_tf.visualize.best import Best, Digest

SAVE_EVERY_S = 10.0

Digests = dict[str, Digest]


class DigestListener:
    """A Listener that returns digests, so memory does not grow with file length."""

    def __init__(self, embedder: Embedder) -> None:
        self._listener, self.decoder = embedder.listener, embedder.listener.decoder

    def open_file(self, path: Path, layers: Sequence[str]) -> Opened:
        """Same as the model's listener."""
        return self._listener.open_file(path, layers)

    def listen_clips(self, clips: Sequence[Clip], layers: Sequence[str]) -> list[Digests]:
        """A digest of each layer for each clip."""
        return [self._of([embeddings], layers) for embeddings in self._listener.listen_clips(clips, layers)]

    def listen_pieces(self, pieces: Iterator[Waveform], layers: Sequence[str], name: str) -> Digests:
        """The same for a sound read in pieces."""
        streams = self._listener.open_stream(layers, name=name)

        def parts() -> Iterator[dict[str, Embedding]]:
            with contextlib.closing(blocks_of(pieces)) as sound:
                yield from map(streams.push, sound)
            yield streams.finish()

        return self._of(parts(), layers)

    def _of(self, parts: Iterable[Embeddings], layers: Sequence[str]) -> Digests:
        digests = {layer: Digest(self._listener.spec, layer) for layer in layers}
        for part in parts:
            for layer, digest in digests.items():
                digest.add(part[layer])
        return digests


@dataclasses.dataclass(eq=False)
class Survey:
    """The results so far; the first `done` sounds have been processed."""

    best: dict[str, Best]
    """By layer and head."""
    responses: dict[str, NDArray[np.float32]]
    """By layer and head, `[mapped, units]`: the max activation for each sound on the map; NaN if it failed."""
    vectors: dict[str, NDArray[np.float32]]
    """By layer, `[mapped, units]`: the mean over time for each sound on the map; NaN if it failed."""
    mapped: NDArray[np.int64]
    """`[mapped]`: the indices of the sounds on the map, ascending."""
    top_classes: dict[str, NDArray[np.float32]]
    """By head, `[sounds, 2]`: the top class of the whole sound, and its probability."""
    seconds: NDArray[np.float64]
    """`[sounds]`: NaN if it failed."""
    recordings: NDArray[np.int64]
    """`[sounds]`: the recording index of each."""
    done: int = 0
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """Number of failed sounds, by reason."""

    @property
    def failed_sounds(self) -> list[int]:
        """The indices of the failed sounds."""
        return np.flatnonzero(np.isnan(self.seconds[: self.done])).tolist()

    @classmethod
    def begin(
        cls,
        spec: NetSpec,
        recordings: NDArray[np.int64],
        shown: Sequence[str],
        maps: Sequence[str],
        mapped: NDArray[np.int64],
        top: int,
    ) -> 'Survey':
        """An empty survey of the sounds of these recordings; the sounds in `mapped` are on the map."""
        sounds = len(recordings)
        units = {layer: geometry.channels(spec, layer) for layer in {*shown, *maps}}

        def unknown(layers: Sequence[str]) -> dict[str, NDArray[np.float32]]:
            return {layer: np.full([len(mapped), units[layer]], np.nan, np.float32) for layer in layers}

        return cls(
            best={layer: Best(units[layer], top) for layer in shown},
            responses=unknown(shown),
            vectors=unknown(maps),
            mapped=mapped,
            top_classes={head: np.zeros([sounds, 2], np.float32) for head in spec.head_names},
            seconds=np.full(sounds, np.nan),
            recordings=recordings,
        )

    @property
    def layers(self) -> list[str]:
        """All layers and heads to compute."""
        return list(dict.fromkeys([*self.best, *self.vectors, *self.top_classes]))

    def add(self, digests: Digests | None) -> None:
        """Add the next sound; None if it failed."""
        sound, self.done = self.done, self.done + 1
        if digests is None:
            return
        self.seconds[sound] = next(iter(digests.values())).seconds
        for layer, best in self.best.items():
            best.add(digests[layer], sound, int(self.recordings[sound]))
        for head, top in self.top_classes.items():
            probabilities = digests[head].pooled_probabilities
            top[sound] = probabilities.argmax(), probabilities.max()
        row = int(np.searchsorted(self.mapped, sound))
        if row < len(self.mapped) and self.mapped[row] == sound:
            for layer, responses in self.responses.items():
                responses[row] = digests[layer].best
            for layer, vectors in self.vectors.items():
                vectors[row] = digests[layer].mean

    def save(self, path: pathlib.Path) -> None:
        """Save as an npz, to resume from."""
        values = {f'best/{layer}/{name}': a for layer, best in self.best.items() for name, a in best.arrays().items()}
        values |= {f'responses/{layer}': array for layer, array in self.responses.items()}
        values |= {f'vectors/{layer}': array for layer, array in self.vectors.items()}
        values |= {f'top_classes/{head}': array for head, array in self.top_classes.items()}
        with storage.whole_file(path) as draft:
            np.savez(
                draft,
                mapped=self.mapped,
                seconds=self.seconds,
                recordings=self.recordings,
                done=self.done,
                failed=json.dumps(self.failed),
                **cast(Mapping[str, Any], values),
            )

    @classmethod
    def load(cls, path: pathlib.Path) -> 'Survey | None':
        """Load what `save` wrote; None if it is missing or cannot be read."""
        try:
            with storage.readable(path):
                there = arrays.read_npz(path)
                parts = {name: _below(f'{name}/', there) for name in ('best', 'responses', 'vectors', 'top_classes')}
                layers = dict.fromkeys(key.split('/')[0] for key in parts['best'])
                best = {layer: Best.from_arrays(_below(f'{layer}/', parts['best'])) for layer in layers}
                failed = collections.Counter(storage.parse_json(str(there['failed']), path))
                whole = (there['seconds'], there['recordings'], int(there['done']), failed)
                return cls(best, parts['responses'], parts['vectors'], there['mapped'], parts['top_classes'], *whole)
        except SoundNetError:
            return None


def _below(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}


def conduct(survey: Survey, embedder: Embedder, sounds: Sequence[files.SoundFile], path: pathlib.Path) -> files.Tally:
    """Process the remaining sounds, saving to `path` periodically. Failed sounds are reported and counted."""
    tally = files.Tally(skipped=survey.done - survey.failed.total(), failed=survey.failed)
    saved_at = time.monotonic()

    def done(file: files.SoundFile, digests: Digests | None) -> None:
        nonlocal saved_at
        # Before this sound: whether it failed is not counted yet.
        if time.monotonic() - saved_at > SAVE_EVERY_S:
            survey.save(path)
            saved_at = time.monotonic()
        survey.add(digests)

    left = sounds[survey.done :]
    files.listen(DigestListener(embedder), left, survey.layers, done, tally, len(sounds))
    survey.save(path)
    return tally
