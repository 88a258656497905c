"""A TF-Hub module of a net as a layer of Keras 3, where `hub.KerasLayer` does not work.

waveform = keras.Input([None])  # 22,050 Hz, in [-1, 1]
embedding = SoundNetLayer('exports/hub', trainable=True)(waveform)  # [batch, channels]
net = keras.Model(waveform, keras.layers.Dense(10)(embedding))
"""

import os
import pathlib
from typing import Any

import keras

from soundnet_tf import geometry
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import truth
from soundnet_tf.nets import saved
from soundnet_tf.spec import NetSpec


@keras.saving.register_keras_serializable('soundnet_tf')
class SoundNetLayer(keras.layers.TFSMLayer):
    """From `[batch, samples]` to one output of a TF-Hub module that `soundnet-export` wrote.

    Args:
      path: the module's folder.
      output: 'embedding', the feature layer averaged over time, or another output listed in model.json.
      trainable: whether training changes the net's weights and its batch norm statistics.

    A model with it is loaded again by `keras.saving.load_model(path, safe_mode=False)`, from the module's folder, which
    has to stay where it is; safe_mode=False, since a SavedModel is a program.

    Raises ShortClip for a clip of a known length that is too short for the output, SoundNetError for a wrong folder.
    """

    def __init__(
        self, path: str | os.PathLike[str], output: str = 'embedding', trainable: bool = False, **options: Any
    ):
        folder = pathlib.Path(path)
        facts = saved.read_facts(folder) if (folder / 'model.json').is_file() else {}
        if facts.get('export') != 'hub':
            raise SoundNetError(f'{folder}: not a TF-Hub module of this package. Write one with soundnet-export')
        if output not in facts['outputs']:
            raise SoundNetError(f'{folder} has no output {output!r}; it has {", ".join(facts["outputs"])}')
        self.output_name = output
        self._spec = NetSpec.from_dict(facts['spec'])
        super().__init__(
            os.fspath(folder), call_endpoint='infer', call_training_endpoint='train', trainable=trainable, **options
        )
        for weight in self.weights:
            # Keras names them as TensorFlow does, `name:0`, which its optimizers cannot use for their own variables.
            weight._name, weight._path = (name.removesuffix(':0') for name in (weight.name, weight.path))

    def call(self, inputs: Any, training: bool = False) -> Any:
        if len(inputs.shape) != 2:
            raise SoundNetError(f'waveforms must be [batch, samples], got {list(inputs.shape)}')
        samples = inputs.shape[-1]
        if samples is not None:
            row = truth.row_of(self._spec, self.output_name)
            geometry.require(self._spec, row, samples, 'the clip', 'use a longer one')
        return super().call(inputs, training=training and self.trainable)[self.output_name]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        own = {'path': config.pop('filepath'), 'output': self.output_name}
        return {key: value for key, value in config.items() if not key.startswith('call_')} | own
