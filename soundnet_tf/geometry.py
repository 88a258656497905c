"""Lengths, receptive fields and times of every layer, derived from a `NetSpec`.

Samples are counted at 22,050 Hz. A layer is called by its row's name, a head by its teacher or
data set; the paper's name of the heads' row (conv8, conv5 in the 5-layer net) stands for the
heads while they share one geometry.
"""

import dataclasses
import math
from typing import TypeVar

from soundnet_tf.errors import ShortClip, SoundNetError, UnknownLayer
from soundnet_tf.spec import SAMPLE_RATE, Conv, Head, NetSpec, Pool, Row

Padded = TypeVar('Padded', Conv, Head)


def path(spec: NetSpec, layer: str) -> tuple[Row, ...]:
    """The rows that sound passes through from the waveform to the end of `layer`. Raises UnknownLayer."""
    for index, row in enumerate(spec.layers):
        if row.name == layer:
            return spec.layers[: index + 1]
    for head in spec.heads:
        if head.name == layer:
            return (*spec.layers, head)
    if layer == spec.head_alias and len({(h.kernel, h.stride, h.paddings) for h in spec.heads}) == 1:
        return (*spec.layers, spec.heads[0])
    known = ', '.join(row.name for row in spec.rows)
    raise UnknownLayer(f'{spec.name} has no layer {layer!r}; it has {known}')


def frames(spec: NetSpec, layer: str, samples: int) -> int:
    """How many time steps `layer` gives for so many samples; 0 where the sound is too short."""
    length = samples
    for row in path(spec, layer):
        # Without this, padding would make a frame out of nothing.
        if length <= 0:
            return 0
        length = (length + sum(row.paddings) - row.extent) // row.stride + 1
    return max(0, length)


def min_samples(spec: NetSpec, layer: str, frames: int = 1) -> int:
    """The shortest sound, in samples, that gives `frames` time steps of `layer`."""
    if frames < 1:
        raise ValueError(f'frames must be at least 1, got {frames}')
    length = frames
    for row in reversed(path(spec, layer)):
        length = max(1, (length - 1) * row.stride + row.extent - sum(row.paddings))
    return length


def hop(spec: NetSpec, layer: str) -> int:
    """Samples from one time step of `layer` to the next."""
    samples = 1
    for row in path(spec, layer):
        samples *= row.stride
    return samples


def receptive_field(spec: NetSpec, layer: str) -> int:
    """How many samples one time step of `layer` sees."""
    samples, step = 1, 1
    for row in path(spec, layer):
        samples += (row.extent - 1) * step
        step *= row.stride
    return samples


def first_sample(spec: NetSpec, layer: str) -> int:
    """The first sample that the first time step sees; negative, since zero padding comes before the sound."""
    sample, step = 0, 1
    for row in path(spec, layer):
        sample -= row.paddings[0] * step
        step *= row.stride
    return sample


def frame_times(spec: NetSpec, layer: str, frames: int, first: int = 0) -> list[float]:
    """The centre of each of `frames` time steps from the `first` on, in seconds from the first sample."""
    centre = first_sample(spec, layer) + (receptive_field(spec, layer) - 1) / 2
    step = hop(spec, layer)
    return [(centre + index * step) / SAMPLE_RATE for index in range(first, first + frames)]


def final_frames(spec: NetSpec, layer: str, samples: int) -> int:
    """How many time steps of `layer` are final after so many samples, whatever follows."""
    length = samples
    for row in path(spec, layer):
        if length <= 0:
            return 0
        # As in `frames`, but for the zero padding that only stands behind the last sample.
        length = (length + row.paddings[0] - row.extent) // row.stride + 1
    return max(0, length)


def trim_edges(spec: NetSpec, samples: int) -> NetSpec:
    """The net without the steps at a clip's end that training on clips of so many samples never reached.

    In training, the heads' windows may leave the last steps of the last layer unread, and with them all that read so
    much of its zero padding. At another length they are read, and may be wild: those of the published 8-layer net are
    45 times as far off as a step is large, in the median, and its heads then name the edge instead of the sound. So
    `padding_end` of the last layer, and of the heads, becomes what training let them read. Measured, the layers below
    do not need it (docs/edges.md). A net that training let read all of its padding, or whose heads give no step, stays
    as it is.
    """
    spec, last = dataclasses.replace(spec, trained_samples=samples), spec.layers[-1]
    steps = {head: frames(spec, head.name, samples) for head in spec.heads}
    if not isinstance(last, Conv) or not steps or not all(steps.values()):
        return spec
    length = samples if len(spec.layers) == 1 else frames(spec, spec.layers[-2].name, samples)
    given = frames(spec, last.name, samples)
    read = {head: _reach(head, count) for head, count in steps.items()}
    trimmed = _ended(last, _reach(last, min(given, max(read.values()))) - length)
    # Zeros behind a layer that lost steps in training itself would stand where training had these steps.
    lost = max(read.values()) < given
    heads = tuple(_ended(head, 0 if lost else read[head] - given) for head in spec.heads)
    return dataclasses.replace(spec, layers=(*spec.layers[:-1], trimmed), heads=heads)


def _reach(row: Conv | Head, steps: int) -> int:
    """How many steps of its input a row's first `steps` read, the zeros behind it included."""
    return (steps - 1) * row.stride + row.extent - row.padding


def _ended(row: Padded, zeros: int) -> Padded:
    """With at most so many zeros behind its input."""
    return dataclasses.replace(row, padding_end=max(0, zeros)) if zeros < row.paddings[1] else row


def densified(spec: NetSpec, factor: int) -> NetSpec:
    """The same weights with `factor` times as many time steps of the last layer; every `factor`-th is as it was.

    The strides of the last layers become smaller, from the top down, and the kernels above them dilated. Away from a
    clip's edges the mean over time is then that over `factor` shifts of the clip. Raises SoundNetError where these
    strides do not have the factor, and for heads of more than one step.
    """
    if factor > 1 and any(head.kernel > 1 or head.stride > 1 for head in spec.heads):
        raise SoundNetError('dense needs a head of kernel 1 and stride 1. Set head_kernel=1')
    rows, spacing = list[Conv | Pool](), factor
    for row in reversed(spec.layers):
        shared = math.gcd(spacing, row.stride)
        stride, spacing = row.stride // shared, spacing // shared
        if spacing > 1 and (isinstance(row, Pool) or stride > 1 or row is spec.layers[0]):
            raise SoundNetError(
                f'dense={factor}: the strides of the last layers of {spec.name} do not have this factor'
            )
        if isinstance(row, Pool):
            rows.append(dataclasses.replace(row, step=stride) if shared > 1 else row)
            continue
        end = None if row.padding_end is None else row.padding_end * spacing
        taps = row.spacing * spacing
        dilation, padding = (taps if taps > 1 else None), row.padding * spacing
        rows.append(dataclasses.replace(row, stride=stride, padding=padding, padding_end=end, dilation=dilation))
    return dataclasses.replace(spec, layers=tuple(reversed(rows)))


def latency(spec: NetSpec, layer: str) -> int:
    """How many samples after its centre a time step of `layer` is final: half of its receptive field comes later."""
    return receptive_field(spec, layer) // 2 + 1


def channels(spec: NetSpec, layer: str) -> int:
    """How many values a time step of `layer` has; of a head, its classes; of the heads' row, those of all heads."""
    if layer == spec.head_alias and path(spec, layer)[-1].name != layer:
        return sum(head.classes for head in spec.heads)
    values = 1
    for row in path(spec, layer):
        values = row.filters if isinstance(row, Conv) else row.classes if isinstance(row, Head) else values
    return values


def require(spec: NetSpec, layer: str, samples: int, what: str = 'the clip', hint: str | None = None) -> None:
    """Raise ShortClip, with the lengths and what to do, if `samples` are too few for a frame of `layer`."""
    needed = min_samples(spec, layer)
    if samples >= needed:
        return
    hint = hint or _default_hint(spec, samples)
    raise ShortClip(
        f'{what} is {seconds(samples)}; {layer} of {spec.name} needs {seconds(needed)}. {hint[0].upper()}{hint[1:]}.'
    )


def _default_hint(spec: NetSpec, samples: int) -> str:
    deepest = deepest_layer(spec, samples)
    if deepest is None:
        return "tile the clip (short='tile')" if samples else 'use a longer clip'
    return f"use layer='{deepest}' ({seconds(min_samples(spec, deepest))}) or tile the clip (short='tile')"


def deepest_layer(spec: NetSpec, samples: int) -> str | None:
    """The last layer of the trunk that has a time step for so many samples; None if no layer has."""
    reachable = [row.name for row in spec.layers if min_samples(spec, row.name) <= samples]
    return reachable[-1] if reachable else None


def seconds(samples: int) -> str:
    """A number of samples for people: `9.50 s`; below a hundredth of a second, in samples."""
    if 0 < samples < SAMPLE_RATE / 100:
        return f'{samples} sample{"s" if samples > 1 else ""}'
    return f'{samples / SAMPLE_RATE:.2f} s'
