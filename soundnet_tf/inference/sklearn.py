"""A net as a step of a scikit-learn pipeline: sounds in, one vector for each out.

make_pipeline(SoundNetTransformer('runs/first/net'), LinearSVC()).fit(paths, names)
"""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE, Short
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.embed import Embedder, load

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError:
    raise MissingTool('scikit-learn', 'SoundNetTransformer', 'transfer') from None

Sound = str | os.PathLike[str] | ArrayLike


class SoundNetTransformer(TransformerMixin, BaseEstimator):
    """Sounds to `[sounds, channels]`: a layer of a net, pooled over time.

    Args:
      model: the folder or name of a saved net, by default the original; or an Embedder, whose `short` is then used.
      layer: a layer or head of the net; by default its feature layer.
      pool: 'mean' or 'max' over time, or 'mean+max' for both concatenated, `[sounds, 2 * channels]`.
      sample_rate: in Hz, of sounds that are arrays; files have their own.
      short: for a clip that is too short: 'tile' repeats it, 'pad' appends silence, 'error' raises ShortClip.

    `fit` learns nothing. The net is loaded when first needed, and a pickle does not contain it.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        layer: str | None = None,
        pool: str = 'mean',
        sample_rate: int = SAMPLE_RATE,
        short: Short = 'tile',
    ) -> None:
        self.model = model
        self.layer = layer
        self.pool = pool
        self.sample_rate = sample_rate
        self.short: Short = short

    def fit(self, sounds: Iterable[Sound], y: Any = None) -> 'SoundNetTransformer':
        """Check the settings; raises SoundNetError where they do not fit the net."""
        if self.pool not in ('mean', 'max', 'mean+max'):
            raise SoundNetError(f'pool={self.pool!r}: must be mean, max or mean+max')
        self._embedder().listener.resolve_layer(self.layer)
        return self

    def transform(self, sounds: Iterable[Sound]) -> NDArray[np.float32]:
        """Paths, or waveforms `[samples]` or `[samples, channels]`, to `[sounds, channels]` float32.

        `sounds` may be a list, a generator, an array `[sounds, samples]`, or a column of a table of pandas.
        Raises what `embed_file` and `embed` raise for the first unusable sound.
        """
        if isinstance(sounds, str | os.PathLike):
            raise SoundNetError(f'{sounds}: is one path. Pass a list of paths or arrays')
        sounds = _listed(sounds)
        self.fit(sounds)
        embedder = self._embedder()
        paths = [isinstance(sound, str | os.PathLike) for sound in sounds]
        if all(paths):
            embeddings = embedder.embed_files(sounds, self.layer)  # type: ignore[arg-type]
        elif not any(paths):
            embeddings = iter(embedder.embed_batch(sounds, self.sample_rate, self.layer))  # type: ignore[arg-type]
        else:
            raise SoundNetError('sounds mix paths and arrays: pass one or the other')
        pools = [getattr(embedding, pool)() for embedding in embeddings for pool in self.pool.split('+')]
        return np.array(pools, np.float32).reshape(len(paths), self._width())

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The layer, channel and pool of each column."""
        layer, pools = self._embedder().listener.resolve_layer(self.layer), self.pool.split('+')
        channels = self._width() // len(pools)
        return np.array([f'{layer}_{index}_{pool}' for pool in pools for index in range(channels)], object)

    def _width(self) -> int:
        embedder = self._embedder()
        return geometry.channels(embedder.spec, embedder.listener.resolve_layer(self.layer)) * len(self.pool.split('+'))

    def _embedder(self) -> Embedder:
        if isinstance(self.model, Embedder):
            return self.model
        wanted = (self.model, self.short)
        if getattr(self, '_loaded', (None,))[0] != wanted:
            self._loaded = wanted, load(self.model, short=self.short)
        return self._loaded[1]

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {key: value for key, value in state.items() if key != '_loaded'}

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _listed(sounds: Iterable[Sound]) -> list[Sound]:
    """The sounds, each once; a table of one column, as scikit-learn passes paths on, is that column."""
    values: Any = sounds.to_numpy() if hasattr(sounds, 'to_numpy') else sounds  # type: ignore[attr-defined]
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in 'OU':
        values = values[:, 0]
    return list(values)
