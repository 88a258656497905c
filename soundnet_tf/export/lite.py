"""A net as a TFLite file for one purpose on a device: tags, an embedding, or layers; in float or in 8 bits.

    float32, float16   the same numbers; float16 halves the file
    dynamic            8-bit weights, widened as the file is opened, and float values: a quarter of the file
    int8               also multiplied in 8 bits, in less time than floats

The interpreter rounds what an int8 layer reads to 8 bits of its largest value in this clip, however loud that is, and
gives floats: there are no ranges to calibrate. Around a bark 8 bits leave little of a silent clip. So conv1, which
reads the waveform, stays in float, and the first layers after it, whose steps are fine enough to tell the bark from the
rest, multiply 16 bits in two halves.
"""

import dataclasses
import pathlib
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import constants, quality, truth
from soundnet_tf.export.folded import Operations, Weights, folded, save_module
from soundnet_tf.export.metadata import Output, with_metadata
from soundnet_tf.export.representative import CalibrationClip
from soundnet_tf.export.verify import CLOSE, FILES, HALVED, Plan, Tolerance
from soundnet_tf.nets import native
from soundnet_tf.spec import NetSpec, Pool

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet

Precision = Literal['float32', 'float16', 'dynamic', 'int8']
Kind = Literal['tags', 'embedding', 'layers']
Length = float | Literal['dynamic'] | None

TOLERANCES: dict[str, Tolerance] = {
    'float32': CLOSE,
    'float16': HALVED,
    # A softmax enlarges what rounding does to logits: of the authors' weights, halves move a probability by 2.5% of the
    # largest, and the strongest class of 1 clip in 100.
    'float16 tags': Tolerance(difference=5e-2, cosine=0.999),
    'dynamic': Tolerance(cosine=0.99),
    'int8': Tolerance(cosine=0.98, clip_cosine=0.999),
    # A softmax, again. Where Keras is certain of a class, the file then gives no other class more than 6%.
    'int8 tags': Tolerance(cosine=0.98, clip_cosine=0.998),
    'int8 layers': Tolerance(cosine=0.98, clip_cosine=0.995),
}
"""By precision, or by precision and kind. For 8 bits, if there are too few clips to measure the loss."""

JUDGED_BY_CLIPS = Tolerance(cosine=0.8)
"""For 8 bits if `quality` decides by the user's clips: this only refuses broken files. Tags of a sharp softmax cannot
reach the cosine of an embedding: 0.95 on one clip of 320, with no other loss."""

FINE_STEPS = 1024
"""Layers that read steps of fewer samples have 16-bit values. With the authors' weights they need them: with 8 bits in
conv2 and conv4 the embedding of a loud clip has a cosine of 0.96. The others gain nothing from them."""

TAGS_S = 5.0
"""Seconds of the clips that confidence thresholds are measured on: of one second, no answer is ever confident."""

MAX_LENGTH_S = 3600.0
"""For a file of fixed length, which allocates memory for all of it."""


@dataclasses.dataclass(frozen=True)
class Request:
    """The file to write: its outputs, its number of samples (None: any), and its precision."""

    kind: Kind
    outputs: tuple[str, ...]
    samples: int | None
    precision: Precision


def plan(
    net: 'SoundNet',
    kind: Kind = 'tags',
    precision: Precision = 'float32',
    length_s: Length = None,
    clips: Sequence[CalibrationClip] = (),
    thresholds: Mapping[str, float] | None = None,
) -> Plan:
    """The export of a net as a TFLite file with metadata; its input is `waveform` `[1, samples]`.

    tags: a head's probabilities, averaged over time, `HEAD_clip` `[1, classes]`. embedding: the feature layer, averaged
    over time, `[1, channels]`. layers: `[1, time, channels]` of the feature layer, the last, and the heads that have a
    time step.

    Args:
      length_s: seconds; None for the min whole number of seconds, for tags at least TAGS_S; 'dynamic' for any length,
        input `[batch, samples]`.
      clips: sounds like those in use; enough of them decide whether an 8-bit file is good.
      thresholds: the confidence thresholds of heads that have one; tags get them as a file in the model's zip.

    Raises ShortClip if the length is too short for the outputs, SoundNetError for tags without heads.
    """
    spec = net.spec
    if kind == 'tags' and not spec.heads:
        raise SoundNetError(f'{spec.name} has no heads, so it has no tags. Use --output=embedding')
    outputs: tuple[str, ...] = ('embedding',)
    if kind == 'tags':
        outputs = tuple(f'{head}_clip' for head in spec.head_names)
    if kind == 'layers':
        outputs = tuple(dict.fromkeys((spec.feature_layer, spec.layer_names[-1])))
    samples = _samples(spec, outputs, length_s)
    if kind == 'layers' and samples is not None:
        outputs += tuple(head for head in spec.head_names if geometry.min_samples(spec, head) <= samples)
    request = Request(kind, outputs, samples, precision)
    about: dict[str, Any] = {'kind': kind, 'precision': precision}

    tolerance = TOLERANCES.get(f'{precision} {kind}', TOLERANCES[precision])
    if precision in ('dynamic', 'int8') and quality.is_measurable(clips):
        tolerance = JUDGED_BY_CLIPS

    def write(folder: pathlib.Path) -> None:
        model = _described(net, request, _converted(net, request), thresholds or {})
        (folder / FILES['tflite']).write_bytes(model)

    return Plan('tflite', outputs, write, tolerance, samples, about)


def _samples(spec: NetSpec, outputs: Sequence[str], length_s: Length) -> int | None:
    if length_s == 'dynamic':
        return None
    if length_s is None:
        return _default_samples(spec, outputs)
    if not 0 < length_s <= MAX_LENGTH_S:
        raise SoundNetError(f'length_s={length_s:g} is invalid. Use dynamic, or seconds up to {MAX_LENGTH_S:g}')
    samples = round(length_s * SAMPLE_RATE)
    for name in outputs:
        geometry.require(spec, truth.row_of(spec, name), samples, f'length_s={length_s:g}', 'use a longer one')
    return samples


def _default_samples(spec: NetSpec, outputs: Sequence[str]) -> int:
    """The min whole number of seconds for all outputs, in samples; for tags of whole clips at least TAGS_S."""
    whole = -(-truth.min_samples(spec, outputs) // SAMPLE_RATE) * SAMPLE_RATE
    return max(whole, round(TAGS_S * SAMPLE_RATE)) if any(name.endswith('_clip') for name in outputs) else whole


def _described(net: 'SoundNet', request: Request, model: bytes, thresholds: Mapping[str, float]) -> bytes:
    outputs = {}
    for name in request.outputs:
        row = truth.row_of(net.spec, name)
        how = 'averaged over time' if row != name else 'by time steps'
        names, threshold = (net.labels.get(row, ()), thresholds.get(row)) if request.kind == 'tags' else ((), None)
        outputs[name] = Output(row, f'{row}, {how}', names, threshold)
    samples = request.samples or _default_samples(net.spec, request.outputs)
    return with_metadata(
        model, f'{net.spec.name}, {request.kind}', f'SoundNet: {request.kind} of sound', outputs, samples
    )


def _converted(net: 'SoundNet', request: Request) -> bytes:
    import tensorflow as tf

    spec, weights, multiplied = net.spec, folded(net), request.precision == 'int8'
    operations = Operations(spec, weights, _in_halves(spec, weights) if multiplied else ())
    shape = [None, None] if request.samples is None else [1, request.samples]
    waveform = tf.TensorSpec(shape, tf.float32, name='waveform')
    graph = tf.function(lambda waveform: _outputs(operations, request, waveform), input_signature=[waveform])
    with tempfile.TemporaryDirectory() as folder:
        save_module(operations.module, folder, {request.kind: graph.get_concrete_function()})
        converter: Any = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[request.kind])
        if request.precision == 'float16':
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        with native.quiet(), warnings.catch_warnings():
            # The converter itself uses what it calls deprecated.
            warnings.filterwarnings('ignore', r'\s*Warning: tf\.lite\.Interpreter')
            model = converter.convert()
    return constants.with_small_constants(model, multiplied) if request.precision in ('dynamic', 'int8') else model


def _in_halves(spec: NetSpec, weights: Weights) -> set[str]:
    """The rows with 8-bit kernels that read fine steps."""
    return {
        row.name
        for row in spec.rows
        if not isinstance(row, Pool)
        and weights[row.name][0].size >= constants.MIN_SIZE_8_BIT
        and geometry.hop(spec, row.name) // row.stride < FINE_STEPS
    }


def _outputs(operations: Operations, request: Request, waveform: Any) -> dict[str, Any]:
    """The outputs of the signature."""
    import tensorflow as tf

    spec, results = operations.spec, {}
    by_logits = {head.name for head in spec.heads if head.clip_mean == 'logits'}
    rows = {name: truth.row_of(spec, name) for name in request.outputs}
    values = operations(waveform, dict.fromkeys(rows.values()))
    for name, row in rows.items():
        if name != row and row in by_logits:
            results[name] = tf.nn.softmax(tf.reduce_mean(values[row], 1))
            continue
        results[name] = tf.nn.softmax(values[row]) if row in spec.head_names else values[row]
        if name != row:
            results[name] = tf.reduce_mean(results[name], 1)
    return results
