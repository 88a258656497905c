"""The reference for exports: the plain Keras net's numbers, by the names of an export's outputs.

- `pool5`, `conv7`, ...: a layer, `[time, channels]`
- `embedding`: the feature layer's mean over time, `[channels]`
- `times`: the centres of its time steps in seconds, `[time]`
- `HEAD`, `HEAD_logits`: `[time, classes]`
- `HEAD_clip`: a head's probabilities of the whole clip, `[classes]`: their mean over time, or the softmax of the mean
  logits, by the head's `clip_mean`
- `HEAD_frames`: how many time steps the head has
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets.predictions import softmax
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet

Values = dict[str, NDArray[Any]]


def every_output(spec: NetSpec) -> tuple[str, ...]:
    """All outputs that an export can have. Raises SoundNetError if a head or layer has another output's name."""
    names = ['embedding', 'times', *dict.fromkeys((spec.feature_layer, spec.layer_names[-1]))]
    for head in spec.head_names:
        names += [head, f'{head}_logits', f'{head}_clip', f'{head}_frames']
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SoundNetError(f'an export would have two outputs {twice[0]!r}. Rename the head or layer')
    return tuple(names)


def row_of(spec: NetSpec, name: str) -> str:
    """The layer or head that an output is computed from."""
    if name in ('embedding', 'times'):
        return spec.feature_layer
    kinds = {f'{head}_{kind}': head for head in spec.head_names for kind in ('logits', 'clip', 'frames')}
    return kinds.get(name, name)


def min_samples(spec: NetSpec, names: Iterable[str]) -> int:
    """The shortest sound, in samples, that all these outputs can be computed from."""
    return max(geometry.min_samples(spec, row_of(spec, name)) for name in names)


def truth_of(net: 'SoundNet', names: Iterable[str]) -> Callable[[Waveform], Values]:
    """A waveform `[samples]`, long enough for all of them, to the outputs of these names."""
    import keras

    from soundnet_tf.nets import model

    spec, names = net.spec, tuple(names)
    logits = {f'{head}_logits' for head in spec.head_names}
    by_logits = {f'{head.name}_clip': f'{head.name}_logits' for head in spec.heads if head.clip_mean == 'logits'}
    keras_names = {name: name if name in logits else by_logits.get(name, row_of(spec, name)) for name in names}
    part = model.features(net, keras_names.values())

    def run(waveform: Waveform) -> Values:
        # Some GPUs multiply in fewer bits than exports are compared in.
        with keras.device('cpu'):
            outputs = part(waveform[None], training=False)
        values = {name: np.asarray(outputs[layer])[0] for name, layer in keras_names.items()}
        made = {name: _made(spec, name, value) for name, value in values.items()}
        return {name: softmax(value) if name in by_logits else value for name, value in made.items()}

    return run


def _made(spec: NetSpec, name: str, values: NDArray[np.float32]) -> NDArray[Any]:
    if name == 'embedding' or (name.endswith('_clip') and name != row_of(spec, name)):
        return values.mean(axis=0)
    if name == 'times':
        return np.array(geometry.frame_times(spec, spec.feature_layer, len(values)), np.float32)
    if name.endswith('_frames') and name != row_of(spec, name):
        return np.array(len(values))
    return values
