"""A net as a TFLite file, for any clip length and batch, compared with Keras before it is kept.

Layers that need clips of different lengths get signatures of their own, as LiteRT runs a signature whole: a 5 s clip
gives conv7 of the 8-layer net but no head. The weights are in the file once.

An input `[1, None]` would silently fold a batch into time; so the input is `[batch, samples]`.
"""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from soundnet_tf import geometry, storage
from soundnet_tf.errors import ExportRefused, UnknownLayer
from soundnet_tf.export.folded import Operations, Weights, folded, save_module
from soundnet_tf.export.verify import CLOSE, FILES, HALVED, Plan, check
from soundnet_tf.nets import native, saved
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet

Precision = Literal['float32', 'float16']

TOLERANCES = {'float32': CLOSE, 'float16': HALVED}


def write_tflite(
    net: 'SoundNet',
    path: str | os.PathLike[str],
    layers: Iterable[str] | None = None,
    precision: Precision = 'float32',
) -> float:
    """Write layers and heads of a net as a TFLite file; return its max relative difference from Keras.

    By default the feature layer, the last layer and all heads (as probabilities). Each signature takes `waveform`
    `[batch, samples]` and returns `[batch, time, channels]` by layer; its name has the min number of samples.
    `precision` is that of the weights: float16 halves the file; sums are in float32 in any case.
    Raises ExportRefused, and leaves no file, if it does not reproduce Keras' numbers in a fresh process.
    """
    spec = net.spec
    chosen = dict.fromkeys(layers or (spec.feature_layer, spec.layer_names[-1], *spec.head_names))
    unknown = [layer for layer in chosen if layer not in (*spec.layer_names, *spec.head_names)]
    if unknown:
        raise UnknownLayer(
            f'{spec.name} has no layer {unknown[0]!r}; it has {", ".join(row.name for row in spec.rows)}'
        )
    signatures: dict[str, list[str]] = {}
    for layer in sorted(chosen, key=lambda layer: geometry.min_samples(spec, layer)):
        signatures.setdefault(f'from_{geometry.min_samples(spec, layer)}_samples', []).append(layer)
    content = _convert(spec, folded(net), signatures, precision)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan('net', tuple(chosen), lambda _: None, TOLERANCES[precision])
        pathlib.Path(folder, FILES['net']).write_bytes(content)
        try:
            measured = check(net, plan, pathlib.Path(folder), None)
        except ExportRefused as error:
            raise ExportRefused(f'{path}: not kept, since {error}') from None
    with storage.whole_file(path) as file:
        file.write(content)
    return max(measured.difference.values())


def add_tflite(folder: str | os.PathLike[str], precision: Precision = 'float32') -> pathlib.Path:
    """Add `net.tflite` to a saved net, so that `load` needs no TensorFlow; model.json has its hash."""
    # The folder is replaced whole, so that no file in it is ever without its hash, nor half written.
    with storage.whole_folder(folder) as draft:
        shutil.copytree(folder, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns('.*'))
        path = draft / saved.TFLITE
        difference = write_tflite(saved.load_net(folder), path, precision=precision)
        facts = {'sha256': storage.sha256(path), 'weights': precision, 'difference': difference}
        storage.write_json(draft / 'model.json', {**saved.read_facts(folder), 'tflite': facts})
    return pathlib.Path(folder) / saved.TFLITE


def ensure_tflite(folder: str | os.PathLike[str]) -> None:
    """Add `net.tflite` to a saved net that has none, or one that model.json does not know."""
    if not ((pathlib.Path(folder) / saved.TFLITE).exists() and saved.read_facts(folder).get('tflite')):
        add_tflite(folder)


def _convert(spec: NetSpec, weights: Weights, signatures: Mapping[str, list[str]], precision: Precision) -> bytes:
    import tensorflow as tf

    operations = Operations(spec, weights)

    def forward(waveform: Any, layers: Iterable[str]) -> dict[str, Any]:
        outputs = operations(waveform, layers)
        return {name: tf.nn.softmax(values) if name in spec.head_names else values for name, values in outputs.items()}

    functions = {}
    for name, layers in signatures.items():
        waveform = tf.TensorSpec([None, None], tf.float32, name='waveform')
        graph = tf.function(lambda waveform, layers=layers: forward(waveform, layers), input_signature=[waveform])
        functions[name] = graph.get_concrete_function()
    with tempfile.TemporaryDirectory() as folder:
        save_module(operations.module, folder, functions)
        converter: Any = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if precision == 'float16':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        with native.quiet():
            return converter.convert()
