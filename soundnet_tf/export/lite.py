"""A net as a TFLite file for one purpose on a device: tags, an embedding, or layers; in float or in 8 bits.

    float32, float16   the same numbers; float16 halves the file
    dynamic            8-bit weights, widened as the file is opened, and float values: a quarter of the file
    int8               8-bit weights and values, with ranges from a user's clips; input and output are float

An 8-bit waveform would have a range of 48 dB, and so would conv1's output; 8-bit logits are too coarse for a softmax.
So int8 keeps conv1 and the heads in float, and as many of the layers after conv1 as quiet clips need; their weights
are stored small. Before that each layer's channels are scaled to similar ranges.
"""

import dataclasses
import functools
import pathlib
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE, Waveform, fit_length
from soundnet_tf.errors import ExportRefused, SoundNetError
from soundnet_tf.export import quality, scales, truth
from soundnet_tf.export.constants import with_small_constants
from soundnet_tf.export.folded import Operations, folded, save_module
from soundnet_tf.export.metadata import Output, with_metadata
from soundnet_tf.export.representative import CalibrationClip, require
from soundnet_tf.export.verify import CLOSE, FILES, HALVED, Plan, Tolerance, cosine, quiet
from soundnet_tf.nets import litert, native
from soundnet_tf.spec import Conv, NetSpec, Pool, Row

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

ENOUGH = 0.9991
"""Cosine to float32 on clips, loud and quiet, at which no further layer is kept in float."""

SLACK = 2e-4
"""If ENOUGH is never reached, since the output itself is in 8 bits, accept this much less than the best."""

LOUDER = np.float32(1.4)
"""Ranges are measured on clips as they are and louder by this factor, since values outside a range are clipped."""

TAGS_S = 5.0
"""Seconds of the clips that confidence thresholds are measured on: of one second, no answer is ever confident."""

MAX_LENGTH_S = 3600.0
"""For a file of fixed length, which allocates memory for all of it."""

MAX_CALIBRATION_CLIPS, MAX_TEST_CLIPS, MIN_SPLIT_CLIPS = 64, 40, 8
"""Clips that set int8's ranges, and clips to test it; fewer than MIN_SPLIT_CLIPS serve for both."""

PIECES = 4
"""Fewer than MIN_SPLIT_CLIPS clips, which leave the ranges too narrow, are also cut into as many pieces, and each is
repeated to the length of the file; white noise is added, as loud as no clip may be at all frequencies."""


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
      clips: sounds like those in use, for int8.
      thresholds: the confidence thresholds of heads that have one; tags get them as a file in the model's zip.

    Raises ShortClip if the length is too short for the outputs, SoundNetError for tags without heads and int8 without
    clips.
    """
    spec = net.spec
    if kind == 'tags' and not spec.heads:
        raise SoundNetError(f'{spec.name} has no heads, so it has no tags. Use --output=embedding')
    require(precision, clips)
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

    def write(folder: pathlib.Path) -> dict[str, Any]:
        model, found = _converted(net, request, [clip.waveform for clip in clips])
        if found and not found['cosine_on_your_clips'] >= tolerance.clip_cosine:
            raise ExportRefused(
                f'int8 has a cosine of {found["cosine_on_your_clips"]:.4f} to float32 on your clips '
                f'({tolerance.clip_cosine:g} required; with {quality.MIN_CLIPS} or more clips the loss '
                'of quality is checked instead). Use more clips of each kind, or another precision'
            )
        (folder / FILES['tflite']).write_bytes(_described(net, request, model, thresholds or {}))
        return found

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


def _converted(net: 'SoundNet', request: Request, waveforms: Sequence[Waveform]) -> tuple[bytes, dict[str, Any]]:
    """The model, and for int8 the layers in float and its cosine."""
    import tensorflow as tf

    spec, weights, factors, seen, tried = net.spec, folded(net), scales.Factors(), [], []
    if request.precision == 'int8':
        seen, tried = _split(spec, request, waveforms)
        factors = scales.factors(spec, weights, seen)
        weights = scales.balanced(spec, weights, factors)
    operations = Operations(spec, weights)
    shape = [None, None] if request.samples is None else [1, request.samples]
    waveform = tf.TensorSpec(shape, tf.float32, name='waveform')
    graph = tf.function(lambda waveform: _outputs(operations, factors, request, waveform), input_signature=[waveform])
    with tempfile.TemporaryDirectory() as folder:
        save_module(operations.module, folder, {request.kind: graph.get_concrete_function()})
        make = functools.partial(_converter, folder, request.kind)
        with native.quiet(), warnings.catch_warnings():
            # The converter itself uses what it calls deprecated.
            warnings.filterwarnings('ignore', r'\s*Warning: tf\.lite\.Interpreter')
            if request.precision == 'int8':
                with native.without_lines('fully_quantize: '):  # of LLVM
                    return _eight_bit(spec, request, make, seen, tried)
            if request.precision == 'dynamic':
                return with_small_constants(make('float32').convert()), {}
            return make(request.precision).convert(), {}


def _split(
    spec: NetSpec, request: Request, waveforms: Sequence[Waveform]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Sounds `[1, samples]` to set int8's ranges, as they are and louder, and others to test it, loud and quiet."""
    minimum = truth.min_samples(spec, request.outputs)

    def fitted(waves: Iterable[Waveform]) -> list[NDArray[np.float32]]:
        return [fit_length(wave, request.samples or max(minimum, len(wave)))[None] for wave in waves]

    if len(waveforms) >= MIN_SPLIT_CLIPS:
        # Every other clip is held out to test it.
        seen, tried = fitted(waveforms[::2]), fitted(waveforms[1::2])
    else:
        noise = np.random.default_rng(1).uniform(-0.5, 0.5, request.samples or minimum).astype(np.float32)
        pieces = [piece for wave in waveforms for piece in np.array_split(wave, PIECES) if piece.size]
        seen, tried = fitted([*waveforms, *pieces, noise]), fitted(waveforms)
    seen, tried = _some(seen, MAX_CALIBRATION_CLIPS), _some(tried, MAX_TEST_CLIPS)
    return (
        [np.clip(waveform * gain, -1, 1) for waveform in seen for gain in (1, LOUDER)],
        [*tried, *(quiet(waveform) for waveform in tried)],
    )


def _outputs(operations: Operations, factors: scales.Factors, request: Request, waveform: Any) -> dict[str, Any]:
    """The outputs of the signature. A layer's values are multiplied by its factors, if it has any."""
    import tensorflow as tf

    spec, results = operations.spec, {}
    by_logits = {head.name for head in spec.heads if head.clip_mean == 'logits'}
    rows = {name: truth.row_of(spec, name) for name in request.outputs}
    values = operations(waveform, dict.fromkeys(rows.values()))
    with tf.name_scope('result'):
        for name, row in rows.items():
            if name != row and row in by_logits:
                results[name] = tf.nn.softmax(tf.reduce_mean(values[row], 1))
                continue
            results[name] = tf.nn.softmax(values[row]) if row in spec.head_names else values[row]
            if row in factors:
                results[name] *= factors[row]
            if name != row:
                results[name] = tf.reduce_mean(results[name], 1)
    return results


def _converter(folder: str, kind: str, precision: Precision) -> Any:
    import tensorflow as tf

    converter: Any = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[kind])
    if precision != 'float32':
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == 'float16':
        converter.target_spec.supported_types = [tf.float16]
    return converter


def _eight_bit(
    spec: NetSpec,
    request: Request,
    make: Callable[[Precision], Any],
    seen: Sequence[NDArray[np.float32]],
    tried: Sequence[NDArray[np.float32]],
) -> tuple[bytes, dict[str, Any]]:
    """The model with as few of the first convolutions in float as its test clips need for the numbers of float32."""
    import tensorflow as tf

    def examples() -> Iterator[dict[str, NDArray[np.float32]]]:
        for waveform in seen:
            yield {'waveform': waveform}

    plain = make('float32').convert()
    # The last layers' outputs are in 8 bits, whatever the first layers are in.
    judged = request.outputs[:1] if request.kind == 'layers' else request.outputs
    expected, found = _run(plain, tried), []
    deepest = max((truth.row_of(spec, name) for name in request.outputs), key=lambda row: len(geometry.path(spec, row)))
    converter = make('int8')
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # The only way in the converter to keep some operations in float; the ranges are measured once.
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=examples)
    for in_float in _prefixes(geometry.path(spec, deepest)):
        options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=_names(plain, [*in_float, *spec.head_names])
        )
        debugger.options = options
        model = with_small_constants(debugger.get_nondebug_quantized_model())
        outputs = _run(model, tried)
        close = min(cosine(new[name], old[name]) for new, old in zip(outputs, expected, strict=True) for name in judged)
        found.append((close, model, in_float))
        if close >= ENOUGH:
            break
    enough = min(ENOUGH, max(close for close, _, _ in found) - SLACK)
    close, model, in_float = next(one for one in found if one[0] >= enough)
    return model, {'in_float': in_float, 'cosine_on_your_clips': close}


def _prefixes(rows: Sequence[Row]) -> Iterator[list[str]]:
    """The rows up to the first convolution, the second, and so on except the last; each with the pool after it."""
    convolutions = [index for index, row in enumerate(rows) if isinstance(row, Conv)]
    for index in convolutions[:-1] or convolutions:
        pooled = isinstance(rows[min(index + 1, len(rows) - 1)], Pool)
        yield [row.name for row in rows[: index + 1 + pooled]]


def _some(clips: Sequence[Any], count: int) -> Sequence[Any]:
    """At most `count` of them, evenly spaced."""
    return [clips[index] for index in np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)]


def _names(model: bytes, rows: Sequence[str]) -> list[str]:
    """The output tensors of these rows' operations, of the operations around the net, and of the model.

    Among them is the squeeze between a head and its softmax, which would turn the logits into 8 bits.
    """
    interpreter = litert.interpreter(model)
    scopes = ('channel', 'result', *rows)
    names = [tensor['name'] for tensor in interpreter.get_tensor_details()]
    # A name is a path, or several joined by `;`, sometimes nested.
    starts = re.compile(rf'(^|[;/])(({"|".join(map(re.escape, scopes))})/|Squeeze)')
    chosen = [name for name in names if starts.search(name)]
    return chosen + [tensor['name'] for tensor in interpreter.get_output_details()]


def _run(model: bytes, waveforms: Sequence[NDArray[np.float32]]) -> list[dict[str, NDArray[np.float32]]]:
    runner = litert.interpreter(model).get_signature_runner()
    return [runner(waveform=waveform) for waveform in waveforms]
