"""Run an export in a fresh process, started by `verify`.

python -m soundnet_tf.export.reload FORM FOLDER SOUNDS.npz OUTPUTS.npz

Each sound `[samples]` goes through the export; its outputs are written as `sound/output`.
"""

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.export.verify import CLOSE, FILES, difference

Run = Callable[[NDArray[np.float32]], Mapping[str, Any]]


def hub(folder: pathlib.Path) -> Run:
    """A TF-Hub module, called on a clip; a batch, its signatures and its class names must agree with that."""
    import tensorflow as tf

    module: Any = tf.saved_model.load(str(folder))

    def run(waveform: NDArray[np.float32]) -> Mapping[str, Any]:
        outputs = module(waveform)
        batch = tf.constant(np.stack([np.zeros_like(waveform), waveform]))
        for name in ('serving_default', 'embed', 'layers'):
            for output, values in module.signatures[name](waveform=batch).items():
                own = np.asarray(values if output == 'times' or output.endswith('_frames') else values[1])
                if output in outputs and not difference(own, outputs[output]) <= CLOSE.difference:
                    raise ValueError(f'the signature {name} has another {output} for a batch than the call for a clip')
        for head in (name.removesuffix('_frames') for name in outputs if name.endswith('_frames')):
            tf.io.read_file(module.label_path(head))
        return outputs

    return run


def tflite(folder: pathlib.Path) -> Run:
    """A TFLite file of one signature."""
    from soundnet_tf.nets import litert

    interpreter = litert.interpreter(folder / FILES['tflite'])
    runner = interpreter.get_signature_runner()
    return lambda waveform: {name: values[0] for name, values in runner(waveform=waveform[None]).items()}


def net(folder: pathlib.Path) -> Run:
    """The TFLite file of a saved net: all of its signatures."""
    from soundnet_tf.nets import litert

    interpreter = litert.interpreter(folder / FILES['net'])
    runners = [interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()]
    return lambda waveform: {
        name: values[0] for runner in runners for name, values in runner(waveform=waveform[None]).items()
    }


def keras(folder: pathlib.Path) -> Run:
    """A `.keras` file."""
    import keras

    from soundnet_tf.nets import model as model  # registers its class

    net: Any = keras.saving.load_model(folder / FILES['keras'])

    def run(waveform: NDArray[np.float32]) -> Mapping[str, Any]:
        outputs = net(waveform[None])
        named = outputs if isinstance(outputs, dict) else {net.spec.layer_names[-1]: outputs}
        return {name: np.asarray(values)[0] for name, values in named.items()}

    return run


def onnx(folder: pathlib.Path) -> Run:
    """An ONNX file."""
    from soundnet_tf.export.onnx import session

    opened = session(folder / FILES['onnx'])
    names = [output.name for output in opened.get_outputs()]
    return lambda waveform: {
        name: values[0] for name, values in zip(names, opened.run(names, {'waveform': waveform[None]}), strict=True)
    }


FORMS = {'hub': hub, 'tflite': tflite, 'net': net, 'keras': keras, 'onnx': onnx}


def main(form: str, folder: str, sounds: str, outputs: str) -> None:
    """Run the export on each sound."""
    run = FORMS[form](pathlib.Path(folder))
    with np.load(sounds) as file:
        results = {f'{sound}/{name}': np.asarray(v) for sound in file.files for name, v in run(file[sound]).items()}
    np.savez(outputs, **results)


if __name__ == '__main__':
    main(*sys.argv[1:])
