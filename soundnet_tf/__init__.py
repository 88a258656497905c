"""SoundNet: sound representations learned from unlabelled video, on TensorFlow.

    import soundnet_tf

    embedder = soundnet_tf.load('runs/first/net')          # a saved net
    embedding = embedder.embed_file('rain.wav')             # values [time, channels], times in seconds
    for head, name, probability in embedder.tag_file('rain.wav', top=3):
        print(head, name, probability)

Names are loaded at first use, so that importing the package imports no TensorFlow.
"""

import importlib
import os
import platform
from typing import TYPE_CHECKING, Any

from soundnet_tf.version import __version__ as __version__

if TYPE_CHECKING:
    from soundnet_tf import clips, geometry, hear
    from soundnet_tf.audio import Short, blocks, decoding
    from soundnet_tf.errors import (
        BadAudio,
        BadRecord,
        MissingTool,
        ShortClip,
        SoundNetError,
        UnknownLayer,
        WeightsMismatch,
    )
    from soundnet_tf.inference import Embedder, Embedding, Stream, Tag, load
    from soundnet_tf.inference.folders import embed_folder
    from soundnet_tf.inference.sklearn import SoundNetTransformer
    from soundnet_tf.nets.applications import SoundNet5, SoundNet8
    from soundnet_tf.nets.catalog import ModelInfo, list_models
    from soundnet_tf.nets.model import build, features, spec_of
    from soundnet_tf.nets.predictions import decode_predictions, preprocess_input
    from soundnet_tf.nets.saved import load_net, save_net
    from soundnet_tf.nets.saved import save_net as save
    from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, NetSpec

# Else TensorFlow uses oneDNN only on processors with AVX-512 VNNI; with AVX2 too, nets run and train 1.8 times as fast.
if platform.machine() in ('x86_64', 'AMD64'):
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')

_HOMES = {
    'soundnet_tf.audio': ('Short',),
    'soundnet_tf.errors': (
        'BadAudio',
        'BadRecord',
        'MissingTool',
        'ShortClip',
        'SoundNetError',
        'UnknownLayer',
        'WeightsMismatch',
    ),
    'soundnet_tf.inference': ('Embedder', 'Embedding', 'Stream', 'Tag', 'load'),
    'soundnet_tf.inference.folders': ('embed_folder',),
    'soundnet_tf.inference.sklearn': ('SoundNetTransformer',),
    'soundnet_tf.nets.applications': ('SoundNet5', 'SoundNet8'),
    'soundnet_tf.nets.catalog': ('ModelInfo', 'list_models'),
    'soundnet_tf.nets.model': ('build', 'features', 'spec_of'),
    'soundnet_tf.nets.predictions': ('decode_predictions', 'preprocess_input'),
    'soundnet_tf.nets.saved': ('load_net', 'save_net'),
    'soundnet_tf.spec': ('SOUNDNET5', 'SOUNDNET8', 'NetSpec'),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

_MODULES = {
    'blocks': 'soundnet_tf.audio.blocks',
    'clips': 'soundnet_tf.clips',
    'decoding': 'soundnet_tf.audio.decoding',
    'geometry': 'soundnet_tf.geometry',
    'hear': 'soundnet_tf.hear',
}
"""Modules by the short paths under which users have them."""
_ALIASES = {'save': 'save_net'}
"""Second names, beside `load`."""

__all__ = [
    'SOUNDNET5',
    'SOUNDNET8',
    'BadAudio',
    'BadRecord',
    'Embedder',
    'Embedding',
    'MissingTool',
    'ModelInfo',
    'NetSpec',
    'Short',
    'ShortClip',
    'SoundNet5',
    'SoundNet8',
    'SoundNetError',
    'SoundNetTransformer',
    'Stream',
    'Tag',
    'UnknownLayer',
    'WeightsMismatch',
    'blocks',
    'build',
    'clips',
    'decode_predictions',
    'decoding',
    'embed_folder',
    'features',
    'geometry',
    'hear',
    'list_models',
    'load',
    'load_net',
    'preprocess_input',
    'save',
    'save_net',
    'spec_of',
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    own = _ALIASES.get(name, name)
    if own not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module(_HOME[own]), own)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
