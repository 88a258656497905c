"""Image networks as functions: TFLite files, SavedModels, Keras models and Keras applications."""

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import litert, native
from soundnet_tf.teachers.options import Wanted, fingerprint, read_labels

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A network: `[n, size, size, 3]` RGB in 0..255 to `[n, outputs]`."""

SCALES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    '0..255': lambda x: x,
    '0..1': lambda x: x / 255,
    '-1..1': lambda x: x / 127.5 - 1,
    # The means of the Caffe networks, such as VGG16.
    'caffe': lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32),
}


def load(wanted: Wanted) -> tuple[Run, int]:
    """The network with its input scaling, and the side of its input in pixels."""
    if wanted.form == 'application':
        return _keras_application(wanted)
    scale = wanted.options.get('scale')
    if scale is not None and scale not in SCALES:
        raise SoundNetError(f'teacher {wanted.name}: invalid scale {scale!r}. Use {", ".join(SCALES)}')
    path = pathlib.Path(wanted.where)
    if path.suffix == '.tflite':
        litert.check_foreign(path)
    try:
        if path.suffix == '.tflite':
            return _tflite(str(path), scale)
        run, size = _saved_model(str(path)) if path.is_dir() else _keras_model(str(path))
    except ImportError:  # TensorFlow or Keras
        raise
    except Exception as error:  # each format has errors of its own
        raise SoundNetError(
            f'teacher {wanted.name}: {path} cannot be used ({_first_line(error)}). Use another file'
        ) from error
    return (lambda frames: run(SCALES[scale or '0..255'](frames))), size


def source(wanted: Wanted) -> str:
    """Identifies the network, wherever its file is, and its options."""
    options = {key: value for key, value in wanted.options.items() if key not in ('labels', 'kind')}
    if wanted.form == 'application':
        path = pathlib.Path(options.pop('weights', 'imagenet'))
        parts = [wanted.where, f'weights {path.name}']
    else:
        path = pathlib.Path(wanted.where)
        parts = [path.name]
    if path.exists():
        parts[-1] += f' (sha256 {fingerprint(path)})'
    return ', '.join(parts + [f'{key} {value}' for key, value in sorted(options.items())])


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _square(shape: Sequence[int | None]) -> int:
    if len(shape) != 4 or shape[1] != shape[2] or (shape[1] or 0) < 1 or shape[3] != 3:
        raise ValueError(f'its input is {list(shape)}, not [n, size, size, 3]')
    return cast(int, shape[1])


class _Lite:
    """A TFLite network for any batch size."""

    def __init__(self, path: str):
        self._interpreter = litert.interpreter(path)
        entries, ends = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(entries) != 1 or len(ends) != 1:
            raise ValueError(f'it has {len(entries)} inputs and {len(ends)} outputs, not one of each')
        (self.entry,), (self._end,) = entries, ends

    def __call__(self, pictures: NDArray[Any]) -> NDArray[np.float32]:
        self._interpreter.resize_tensor_input(self.entry['index'], list(pictures.shape))
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self.entry['index'], pictures)
        self._interpreter.invoke()
        values = self._interpreter.get_tensor(self._end['index']).astype(np.float32)
        scale, zero = self._end['quantization']
        return (values - np.float32(zero)) * np.float32(scale) if scale else values


def _tflite(path: str, scale: str | None) -> tuple[Run, int]:
    net = _Lite(path)
    entry = net.entry
    size = _square([int(n) for n in entry['shape_signature']])

    def prepare(frames: NDArray[np.float32]) -> NDArray[Any]:
        kind = np.dtype(entry['dtype'])
        values = SCALES[scale or '0..255'](frames)
        if kind.kind == 'f':
            return values.astype(kind)
        limits = np.iinfo(kind)
        if scale is None:
            # The pixels themselves, from the min integer up, as nearly all quantised networks expect.
            values = values + limits.min
        else:
            step, zero = entry['quantization']
            values = values / (step or 1) + zero
        return np.clip(np.round(values), limits.min, limits.max).astype(kind)

    def singly(pictures: NDArray[Any]) -> NDArray[np.float32]:
        return np.concatenate([net(picture[None]) for picture in pictures])

    noise = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    with native.quiet():
        together = _takes_batches(path, prepare(noise), singly)
    return (lambda frames: (net if together else singly)(prepare(frames))), size


def _takes_batches(path: str, pictures: NDArray[Any], singly: Run) -> bool:
    """Whether a batch gives the same outputs as single pictures.

    Some files are fixed to one picture: with more they fail, or silently mix them up.
    """
    apart = singly(pictures)
    try:
        together = _Lite(path)(pictures)  # a new one: a failure leaves it unusable
    except (RuntimeError, ValueError):
        return False
    return together.shape == apart.shape and np.allclose(together, apart, rtol=1e-3, atol=1e-3 * abs(apart).max())


def _saved_model(path: str) -> tuple[Run, int]:
    import tensorflow as tf

    module: Any = tf.saved_model.load(path)
    if 'serving_default' not in module.signatures:
        raise ValueError('it has no serving signature')
    signature = module.signatures['serving_default']
    entries, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(entries) != 1 or len(outputs) != 1:
        raise ValueError(f'its signature has {len(entries)} inputs and {len(outputs)} outputs, not one of each')
    ((key, entry),), (output,) = entries.items(), outputs

    def run(frames: NDArray[np.float32]) -> NDArray[np.float32]:
        # The reference keeps the variables of `module` alive.
        assert module is not None
        parts = [frames] if entry.shape[0] is None else np.split(frames, len(frames))
        outputs_of = [signature(**{key: tf.cast(part, entry.dtype)})[output] for part in parts]
        return np.concatenate(outputs_of).astype(np.float32)

    return run, _square(entry.shape.as_list())


def _keras_model(path: str) -> tuple[Run, int]:
    import keras

    if not path.endswith(('.keras', '.h5', '.hdf5')):  # Keras' own words are long, and not about teachers
        raise ValueError('not a .tflite, .keras or .h5 file')
    net: Any = keras.saving.load_model(path, compile=False)
    if not isinstance(net.input_shape, tuple) or not isinstance(net.output_shape, tuple):
        raise ValueError('it has several inputs or outputs, not one of each')
    return _keras_run(net, _square(net.input_shape)), _square(net.input_shape)


def _keras_run(net: Any, size: int) -> Run:
    import tensorflow as tf

    frames_like = tf.TensorSpec([None, size, size, 3], tf.float32)
    call = tf.function(lambda frames: net(frames, training=False), input_signature=[frames_like])
    return lambda frames: np.asarray(call(tf.constant(frames, tf.float32)), np.float32)


def _keras_application(wanted: Wanted) -> tuple[Run, int]:
    import keras

    application, weights = wanted.where.removeprefix('keras:'), wanted.options.get('weights', 'imagenet')
    if weights != 'imagenet' and not pathlib.Path(weights).is_file():
        raise SoundNetError(
            f'teacher {wanted.name}: no file {weights} with the weights of {application}. Check the path'
        )
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    if application not in names:
        raise SoundNetError(
            f'teacher {wanted.name}: keras.applications has no {application!r}. Use VGG16, as in the paper, or another '
            f'of {", ".join(names)}'
        )
    build = getattr(keras.applications, application)
    try:
        net = build(weights=weights, classes=_classes(wanted, weights))
    except Exception as error:  # no internet connection, a file of another net, each with errors of its own
        raise SoundNetError(
            f'teacher {wanted.name}: {application} with weights={weights} cannot be loaded ({_first_line(error)}). '
            f'Pass a file with its weights: {wanted.name}={wanted.where},weights=FILE'
        ) from error
    # Some accept any size, and were trained with 224 pixels.
    size = _square(net.input_shape) if net.input_shape[1] else 224
    run = _keras_run(net, size)
    # Each application has its own preprocessing.
    preprocess = sys.modules[build.__module__].preprocess_input
    return (lambda frames: run(preprocess(frames.copy()))), size


def _classes(wanted: Wanted, weights: str) -> int:
    names = read_labels(wanted.name, wanted.options) if weights != 'imagenet' else ()
    return len(names) or 1000
