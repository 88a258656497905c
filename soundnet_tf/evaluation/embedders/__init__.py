"""Embedders by name.

runs/first/net         a saved net, or the name of a registered one
random:soundnet8       a fresh net with random weights (random:soundnet5, random:soundnet8:3 from seed 3)
mfcc                   mel-frequency cepstral coefficients
module/, https://...   a SavedModel or a module of TensorFlow Hub; module/:16000 has its sample rate in Hz
net.tflite             a TFLite file; its sample rate is that of its metadata, or as in net.tflite:16000
features/, f.csv       precomputed features (see `precomputed`); features/:0.5 has a time step each 0.5 s
"""

import pathlib
import re

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.nets import registry

TABLES = ('.npz', '.h5', '.hdf5', '.csv', '.jsonl', '.parquet')
"""Suffixes of a file with the features of all clips."""

_RATE = 'Append the sample rate in whole Hz, such as :16000'
_NUMBERS = {
    'module': _RATE,
    'tflite': _RATE,
    'features': 'Append the seconds per time step, such as :0.37',
}
"""What a number behind a colon is, by the kind of model."""

__all__ = ['AnyEmbedder', 'make', 'split']


def make(text: str) -> AnyEmbedder:
    """The embedder with this name. Raises SoundNetError if it cannot be loaded."""
    if text == 'mfcc':
        from soundnet_tf.evaluation.embedders.mfcc import Mfcc

        return Mfcc()
    if text.startswith('random:'):
        from soundnet_tf.evaluation.embedders.saved_nets import random_net

        _, net, *seed = text.split(':')
        if len(seed) > 1 or (seed and not seed[0].isdigit()):
            raise SoundNetError(f'{text!r}: invalid. Use random:soundnet8, or random:soundnet8:SEED')
        return random_net(net, int(seed[0]) if seed else 0)
    where, number = split(text)
    before, colon, suffix = text.rpartition(':')
    # A colon in an address may be before a port, or anywhere in its path.
    if number is None and colon and '://' not in text and not pathlib.Path(text).exists() and (kind := _kind(before)):
        raise SoundNetError(f'{text}: {suffix!r} is not a number above 0. {_NUMBERS[kind]}')
    kind = _kind(where)
    if kind == 'module':
        from soundnet_tf.evaluation.embedders.hub import Module

        embedder = Module(where, _rate(text, number))
    elif kind == 'tflite':
        from soundnet_tf.evaluation.embedders.tflite import Lite

        embedder = Lite(where, _rate(text, number))
    elif kind == 'features':
        from soundnet_tf.evaluation.embedders.precomputed import Precomputed

        if number == 0:
            raise SoundNetError(f'{text}: 0 is not a number above 0. {_NUMBERS[kind]}')
        embedder = Precomputed(where, number)
    else:
        from soundnet_tf.evaluation.embedders.saved_nets import saved_net

        return saved_net(text)
    # With its number, which tells apart the rows of one model at two rates.
    embedder.name = text
    return embedder


def _kind(where: str) -> str | None:
    """`module`, `tflite` or `features`, to which a number may be appended; None for anything else."""
    path = pathlib.Path(where)
    if registry.is_net(path):
        return None
    if re.match(r'https?://', where) or (path / 'saved_model.pb').is_file():
        return 'module'
    if path.suffix.lower() == '.tflite':
        return 'tflite'
    if (path / 'net' / 'spec.json').is_file():
        raise SoundNetError(f'{where}: the folder of a run. Use {path / "net"}')
    if path.suffix.lower() in TABLES or path.is_dir():
        return 'features'
    return None


def split(text: str) -> tuple[str, float | None]:
    """What is before a number behind a colon, and the number; that of an address is behind its path."""
    match = re.fullmatch(r'(https?://[^/]+/.+|(?!https?://).+):(\d*\.?\d+)', text, re.DOTALL)
    if match is None or pathlib.Path(text).exists():
        return text, None
    return match[1], float(match[2])


def _rate(text: str, number: float | None) -> int | None:
    if number is not None and number % 1:
        raise SoundNetError(f'{text}: invalid sample rate {number:g}. Use whole Hz, such as 16000')
    return None if number is None else int(number)
