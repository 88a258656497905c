"""Find clips by sound: the nearest ones by cosine, among the embeddings that soundnet-embed wrote."""

import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.array_files import ARRAYS
from soundnet_tf.inference.embed import Embedder, load
from soundnet_tf.inference.embedding import Embedding, Embeddings
from soundnet_tf.inference.files import SoundFile, Tally, listen
from soundnet_tf.inference.table_files import TABLES
from soundnet_tf.inference.tags import SILENCE_TEXT
from soundnet_tf.inference.write import is_same_file, table_rows

HINT = 'Write it again with soundnet-embed'

SETTINGS = ('pool', 'short', 'channel', 'precision', 'edges', 'model', 'weights_sha256')
"""Of the embeddings, and of those that are compared with them."""

_MAGIC = {b'PAR1': 'parquet', b'\x89HDF': 'h5', b'{': 'jsonl'}
"""The first bytes of a table; CSV is what has none of them."""


class Match(NamedTuple):
    """A clip, and the cosine of its embedding and the query's."""

    path: str
    similarity: float


class Found(NamedTuple):
    """What was found for a sound."""

    query: str
    matches: tuple[Match, ...]
    silent: bool = False

    def text(self) -> str:
        """For people: the query, and below it a line for each clip."""
        if not self.matches:
            return f'{self.query}\n{SILENCE_TEXT if self.silent else "  nothing found"}'
        return '\n'.join([self.query, *(f'  {match.similarity:6.3f}  {match.path}' for match in self.matches)])

    def json(self) -> str:
        """A line of JSON."""
        return json.dumps({**self._asdict(), 'matches': [match._asdict() for match in self.matches]})


class Index:
    """Clips by their embeddings of one layer.

    Args:
      paths: of the clips.
      vectors: `[clips, channels]`, an embedding of each.
      layer: that they are of.
      settings: with which they were made, by the names of SETTINGS.
    """

    def __init__(self, paths: list[str], vectors: NDArray[np.float32], layer: str, settings: Mapping[str, Any]):
        # What a layer does not respond to at all is like nothing.
        heard = np.flatnonzero(vectors.any(axis=1))
        if not len(heard):
            raise SoundNetError(f'all embeddings of {layer} are 0. Use another layer or other sounds')
        self.paths, self.layer, self.settings = [paths[clip] for clip in heard], layer, settings
        # All clips are compared: of 100,000 that takes one product of matrices, of a few milliseconds, and an index for
        # approximate search would save nothing (benchmarks/search.py).
        self._unit = vectors[heard] / np.linalg.norm(vectors[heard], axis=1, keepdims=True)

    def nearest(self, embedding: ArrayLike, top: int = 10, leave_out: str = '') -> list[Match]:
        """The clips nearest to an embedding `[channels]`, the nearest first, without the file `leave_out`.

        None for an embedding of zeros.
        """
        embedding = np.asarray(embedding, np.float32)
        if not embedding.any():
            return []
        count = min(len(self.paths), top + bool(leave_out))
        cosines = self._unit @ (embedding / np.linalg.norm(embedding))
        clips = np.argpartition(-cosines, count - 1)[:count]
        clips = clips[np.argsort(-cosines[clips], kind='stable')]
        matches = [Match(self.paths[clip], float(cosines[clip])) for clip in clips]
        return [match for match in matches if not is_same_file(match.path, leave_out)][:top]

    def embedder(self, model: str | os.PathLike[str] | None = None, decoder: str = 'auto') -> Embedder:
        """What embeds a sound as those of the index: the net `model`, by default the default net, with their settings.

        Raises SoundNetError if that is another net, and as `load`.
        """
        settings: dict[str, Any] = {name: self.settings[name] for name in ('short', 'channel', 'precision')}
        made = load(model, decoder=decoder, **settings)
        if made.facts.get('weights_sha256') != self.settings['weights_sha256']:
            raise SoundNetError(f'the embeddings are of another net, a {self.settings["model"]}. Pass it as --model')
        # A net without such edges has the same steps either way, and LiteRT serves one of them only.
        if made.listener.edges != self.settings['edges']:
            made = load(model, decoder=decoder, edges='keep', **settings)
        return made

    def pooled(self, embedding: Embedding) -> NDArray[np.float32]:
        """The embedding `[channels]` of a sound, pooled as those of the index."""
        return embedding.max() if self.settings['pool'] == 'max' else embedding.mean()


def read(path: str | os.PathLike[str], layer: str = '', damaged: list[str] | None = None) -> Index:
    """The index of a folder of npz or npy files, or of a table, in any format of soundnet-embed.

    Args:
      layer: one of those that it has; may be left out if there is only one.
      damaged: receives a line for each file of a folder that cannot be read; without it the first one is an error.

    Raises SoundNetError if it has no embedding, or none of that layer, or of several nets or settings.
    """
    where = pathlib.Path(path)
    paths, vectors, layers, settings = list[str](), list[NDArray[np.float32]](), dict[str, None](), None
    for row in _rows(where, damaged):
        layers[row['layer']] = None
        if row['layer'] != (layer or next(iter(layers))):
            continue
        # Of silence a net gives constants, which are like those of quiet clips.
        if str(row['silent']) == 'True':  # CSV has texts
            continue
        own = {key: row[key] for key in SETTINGS}
        settings = settings or own
        if own != settings:
            storage.check_same(where, settings, own, 'Write each into a place of its own')
        values = np.asarray(row['values'], np.float32)
        paths.append(row['path'])
        vectors.append(values if values.ndim == 1 else values.mean(axis=0))
    names = ', '.join(layers)
    if not layers:
        raise SoundNetError(f'{where}: no embeddings. {HINT}')
    if layer and layer not in layers:
        raise SoundNetError(f'{where}: no embeddings of the layer {layer!r}. Use {names}')
    if not layer and len(layers) > 1:
        raise SoundNetError(f'{where}: embeddings of several layers. Choose one with --layer (layer=): {names}')
    if not vectors:
        raise SoundNetError(f'{where}: only silence. Embed other sounds')
    return Index(paths, np.stack(vectors), layer or names, settings or {})


def search_files(
    index: Index, embedder: Embedder, files: Sequence[SoundFile], top: int, show: Callable[[Found], None]
) -> Tally:
    """Call `show` with what is found for each sound file, without the file itself.

    A bad file is reported and counted, see `files.listen`.
    """
    tally = Tally()

    def done(file: SoundFile, embeddings: Embeddings | None) -> None:
        if embeddings is not None:
            own = embeddings[index.layer]
            matches = [] if own.silent else index.nearest(index.pooled(own), top, leave_out=file.path)
            show(Found(file.path, tuple(matches), own.silent))

    listen(embedder.listener, files, [index.layer], done, tally, len(files))
    return tally


def _rows(where: pathlib.Path, damaged: list[str] | None) -> Iterator[Mapping[str, Any]]:
    keys = ['path', 'layer', 'silent', *SETTINGS]
    if where.is_dir():
        yield from _of_folder(where, damaged)
        return
    with storage.readable(where, HINT):
        with where.open('rb') as file:
            head = file.read(4)
        format = next((format for magic, format in _MAGIC.items() if head.startswith(magic)), 'csv')
        yield from TABLES[format]().values(where, keys)


def _of_folder(folder: pathlib.Path, damaged: list[str] | None) -> Iterator[Mapping[str, Any]]:
    for arrays in ARRAYS.values():
        for path in sorted(folder.rglob(f'*{arrays.suffix}')):
            try:
                with storage.readable(path, HINT):
                    rows: Iterable[Mapping[str, Any]] = list(table_rows(arrays.read(path)))
            except SoundNetError as error:
                if damaged is None:
                    raise
                damaged.append(str(error))
            else:
                yield from rows
