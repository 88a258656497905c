"""Export nets to other formats. Each export is loaded again and compared with Keras before it is kept."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from soundnet_tf.errors import SoundNetError

if TYPE_CHECKING:
    from soundnet_tf.export.lite import Kind, Length, Precision
    from soundnet_tf.export.tflite import add_tflite, write_tflite

__all__ = ['add_tflite', 'export', 'write_tflite']

Path = str | os.PathLike[str]

Format = Literal['hub', 'tflite', 'keras', 'onnx']
OUTPUTS = ('tags', 'embedding', 'layers')
PRECISIONS = ('float32', 'float16', 'dynamic', 'int8')
"""Of a TFLite file."""


def export(
    model: Path | None,
    out: Path,
    format: Format = 'hub',
    *,
    clip: Path | None = None,
    output: 'Kind' = 'tags',
    precision: 'Precision' = 'float32',
    length_s: 'Length' = None,
    calibration: Sequence[Path] = (),
) -> list[str]:
    """Export a saved net as the folder `out`; return the measurements as lines of text.

    Args:
      model: the folder or name of a saved net; None for the original.
      clip: a real sound to check the export with; by default the first of `calibration`.
      output, precision, length_s: of a TFLite file, as in `lite.plan`. ONNX without heads is `output='embedding'`.
      calibration: sound files, best in one folder per class: an 8-bit file is judged by what is lost on them,
        neighbours and, with classes, the accuracy of a linear classifier.

    Raises ExportRefused, and leaves `out` as it was, if the export does not reproduce Keras' numbers.
    """
    from soundnet_tf.export import exporter
    from soundnet_tf.export import representative as clips
    from soundnet_tf.nets import lookup, saved

    _check_options(format, output, precision, length_s, calibration)
    folder = lookup.find(model)
    # Report wrong folders and files before TensorFlow is loaded.
    saved.read_spec(folder)
    exporter.place(out)
    if precision in exporter.QUANTISED:
        own = clips.read(calibration, length_s)
    else:
        own = clips.read(calibration[:1], length_s)
    sound = clips.read([clip], length_s)[0].waveform if clip is not None else own[0].waveform if own else None
    net, facts = saved.load_net(folder), saved.read_facts(folder)
    if format == 'tflite':
        from soundnet_tf.export import lite

        plan = lite.plan(net, output, precision, length_s, own, facts.get('confidence_threshold'))
    else:
        plan = _plan(net, format, output)
    return exporter.carry_out(net, plan, out, sound, facts, own).lines()


def _check_options(format: str, output: str, precision: str, length_s: Any, calibration: Any) -> None:
    """Raise SoundNetError for invalid options, before anything is read."""
    for name, value, allowed in (
        ('format', format, get_args(Format)),
        ('output', output, OUTPUTS),
        ('precision', precision, PRECISIONS),
    ):
        if value not in allowed:
            raise SoundNetError(f'--{name}={value}: unknown. Use {", ".join(allowed)}')
    if format == 'tflite':
        return
    if output not in _OUTPUTS_OF[format]:
        raise SoundNetError(f'--output={output}: {_OUTPUTS[format]} --format=tflite')
    options = {'precision': precision != 'float32', 'length_s': length_s is not None, 'calibration': bool(calibration)}
    for name, is_set in options.items():
        if is_set:
            raise SoundNetError(f'--{name} is for TFLite files. Leave it out, or use --format=tflite')


_OUTPUTS_OF = {'hub': ('tags',), 'keras': ('tags',), 'onnx': ('tags', 'embedding')}
_OUTPUTS = {
    'hub': 'a TF-Hub module has all outputs. Leave --output out, or use',
    'keras': 'a .keras file has the whole net. Leave --output out, or use',
    'onnx': 'an ONNX file has tags (layers and heads) or embedding (layers without heads). Use one of these, or',
}


def _plan(net: Any, format: Format, output: 'Kind') -> Any:
    if format == 'hub':
        from soundnet_tf.export import hub

        return hub.plan(net)
    if format == 'keras':
        from soundnet_tf.export import keras_file

        return keras_file.plan(net)
    from soundnet_tf.export import onnx

    return onnx.plan(net, heads=output != 'embedding')


def __getattr__(name: str) -> Any:
    # At first use, so that a process without TensorFlow can import the package.
    if name not in ('add_tflite', 'write_tflite'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from soundnet_tf.export import tflite

    return getattr(tflite, name)
