"""Nets in other forms than the saved folder. Each is read again and compared before it is kept."""

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
    model: Path,
    out: Path,
    format: Format = 'hub',
    *,
    clip: Path | None = None,
    output: 'Kind' = 'tags',
    precision: 'Precision' = 'float32',
    length_s: 'Length' = None,
    calibration: Sequence[Path] = (),
) -> list[str]:
    """Export a saved net as the folder `out`; return what was measured, in lines for people.

    Args:
      model: the folder of a saved net, or the name of a registered one.
      clip: a real sound to check the export with; the first of `calibration` where none is given.
      output, precision, length_s: of a TFLite file, as in `lite.plan`. ONNX without heads is `output='embedding'`.
      calibration: sound files, best in a folder for each class: int8 is set by them, and a quantised file is judged by
        what is lost on them: neighbours and, where there are classes, the accuracy of a linear classifier.

    Raises ExportRefused where the export does not give Keras' numbers, and leaves `out` as it was.
    """
    from soundnet_tf.export import exporter
    from soundnet_tf.export import representative as clips
    from soundnet_tf.nets import lookup, saved

    _sensible(format, output, precision, length_s, calibration)
    folder = lookup.find(model)
    # Mistaken folders and files are told before TensorFlow is loaded.
    saved.read_spec(folder)
    exporter.place(out)
    if precision in exporter.QUANTISED:
        own = clips.read(calibration, length_s)
    else:
        own = clips.read(calibration[:1], length_s)
    sound = clips.read([clip], length_s)[0].waveform if clip is not None else own[0].waveform if own else None
    net = saved.load_net(folder)
    if format == 'tflite':
        from soundnet_tf.export import lite

        plan = lite.plan(net, output, precision, length_s, own)
    else:
        plan = _plan(net, format, output)
    return exporter.carry_out(net, plan, out, sound, saved.read_facts(folder), own).lines()


def _sensible(format: str, output: str, precision: str, length_s: Any, calibration: Any) -> None:
    """Raise SoundNetError for what no export can be, before anything is read."""
    for name, value, known in (
        ('format', format, get_args(Format)),
        ('output', output, OUTPUTS),
        ('precision', precision, PRECISIONS),
    ):
        if value not in known:
            raise SoundNetError(f'there is no {name} {value!r}: give {", ".join(known)}')
    if format == 'tflite':
        return
    if output not in _OUTPUTS_OF[format]:
        raise SoundNetError(f'--output={output}: {_OUTPUTS[format]} --format=tflite')
    given = {'precision': precision != 'float32', 'length_s': length_s is not None, 'calibration': bool(calibration)}
    for name, present in given.items():
        if present:
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
    # At first use: what is exported without TensorFlow is loaded again without it.
    if name not in ('add_tflite', 'write_tflite'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from soundnet_tf.export import tflite

    return getattr(tflite, name)
