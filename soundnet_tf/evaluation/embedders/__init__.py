"""Embedders by name.

runs/first/net         a saved net, or the name of a registered one
random:soundnet8       a fresh net with random weights (random:soundnet5, random:soundnet8:3 from seed 3)
mfcc                   mel-frequency cepstral coefficients
module/, https://...   a SavedModel or a module of TensorFlow Hub
net.tflite             a TFLite file
features/, f.npz       precomputed features (see `precomputed`); features/:0.5 has a time step each 0.5 s
"""

import pathlib
import re

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder

__all__ = ['AnyEmbedder', 'make']


def make(text: str) -> AnyEmbedder:
    """The embedder with this name. Raises SoundNetError if it cannot be loaded."""
    path = pathlib.Path(text)
    if text == 'mfcc':
        from soundnet_tf.evaluation.embedders.mfcc import Mfcc

        return Mfcc()
    if text.startswith('random:'):
        from soundnet_tf.evaluation.embedders.saved_nets import random_net

        _, net, *seed = text.split(':')
        if len(seed) > 1 or (seed and not seed[0].isdigit()):
            raise SoundNetError(f'{text!r}: invalid. Use random:soundnet8, or random:soundnet8:SEED')
        return random_net(net, int(seed[0]) if seed else 0)
    if re.match(r'https?://', text) or (path / 'saved_model.pb').is_file():
        from soundnet_tf.evaluation.embedders.hub import Module

        return Module(text)
    if path.suffix == '.tflite':
        from soundnet_tf.evaluation.embedders.tflite import Lite

        return Lite(text)
    where, colon, hop = text.rpartition(':')
    if not (colon and re.fullmatch(r'\d*\.?\d+', hop)):
        where, hop = text, ''
    ready = pathlib.Path(where)
    if (ready / 'net' / 'spec.json').is_file():
        raise SoundNetError(f'{where}: the folder of a run. Use {ready / "net"}')
    if ready.suffix == '.npz' or (ready.is_dir() and not (ready / 'spec.json').is_file()):
        from soundnet_tf.evaluation.embedders.precomputed import Precomputed

        return Precomputed(where, float(hop) if hop else None)
    from soundnet_tf.evaluation.embedders.saved_nets import saved_net

    return saved_net(text)
