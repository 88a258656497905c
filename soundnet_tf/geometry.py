"""Lengths, receptive fields and times of every layer, derived from a `NetSpec`.

Samples are counted at 22,050 Hz. A layer is called by its row's name, a head by its teacher or
data set; the paper's name of the heads' row (conv8, conv5 in the 5-layer net) stands for the
heads while they share one geometry.
"""

from soundnet_tf.errors import ShortClip
from soundnet_tf.spec import SAMPLE_RATE, Conv, Head, NetSpec, Row


def path(spec: NetSpec, layer: str) -> tuple[Row, ...]:
    """The rows that sound passes through from the waveform to the end of `layer`."""
    for index, row in enumerate(spec.layers):
        if row.name == layer:
            return spec.layers[: index + 1]
    for head in spec.heads:
        if head.name == layer:
            return (*spec.layers, head)
    if layer == spec.head_alias and len({(h.kernel, h.stride, h.padding) for h in spec.heads}) == 1:
        return (*spec.layers, spec.heads[0])
    known = ', '.join(row.name for row in spec.rows)
    raise ValueError(f'{spec.name} has no layer {layer!r}; it has {known}')


def frames(spec: NetSpec, layer: str, samples: int) -> int:
    """How many time steps `layer` gives for so many samples; 0 where the sound is too short."""
    length = samples
    for row in path(spec, layer):
        # Without this, padding would make a frame out of nothing.
        if length <= 0:
            return 0
        length = (length + 2 * row.padding - row.kernel) // row.stride + 1
    return max(0, length)


def min_samples(spec: NetSpec, layer: str, frames: int = 1) -> int:
    """The shortest sound, in samples, that gives `frames` time steps of `layer`."""
    if frames < 1:
        raise ValueError(f'frames must be at least 1, got {frames}')
    length = frames
    for row in reversed(path(spec, layer)):
        length = max(1, (length - 1) * row.stride + row.kernel - 2 * row.padding)
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
        samples += (row.kernel - 1) * step
        step *= row.stride
    return samples


def first_sample(spec: NetSpec, layer: str) -> int:
    """Where the first time step begins to see; negative, since zero padding stands before the sound."""
    sample, step = 0, 1
    for row in path(spec, layer):
        sample -= row.padding * step
        step *= row.stride
    return sample


def frame_times(spec: NetSpec, layer: str, frames: int, first: int = 0) -> list[float]:
    """The centre of each of `frames` time steps from the `first` on, in seconds from the first sample."""
    centre = first_sample(spec, layer) + (receptive_field(spec, layer) - 1) / 2
    step = hop(spec, layer)
    return [(centre + index * step) / SAMPLE_RATE for index in range(first, first + frames)]


def final_frames(spec: NetSpec, layer: str, samples: int) -> int:
    """How many time steps of `layer` are settled once so many samples were heard, whatever comes after them."""
    length = samples
    for row in path(spec, layer):
        if length <= 0:
            return 0
        # As in `frames`, but for the zero padding that only stands behind the last sample.
        length = (length + row.padding - row.kernel) // row.stride + 1
    return max(0, length)


def latency(spec: NetSpec, layer: str) -> int:
    """How many samples after its centre a time step of `layer` is settled: half of what it sees comes later."""
    return receptive_field(spec, layer) // 2 + 1


def channels(spec: NetSpec, layer: str) -> int:
    """How many values a time step of `layer` has; of a head, its classes."""
    values = 1
    for row in path(spec, layer):
        values = row.filters if isinstance(row, Conv) else row.classes if isinstance(row, Head) else values
    return values


def require(spec: NetSpec, layer: str, samples: int, what: str = 'the clip', way_out: str | None = None) -> None:
    """Raise ShortClip, with the numbers and the way out, unless `samples` give a frame of `layer`."""
    needed = min_samples(spec, layer)
    if samples >= needed:
        return
    way_out = way_out or _ways_out(spec, samples)
    raise ShortClip(
        f'{what} is {seconds(samples)}; {layer} of {spec.name} needs {seconds(needed)}. '
        f'{way_out[0].upper()}{way_out[1:]}.'
    )


def _ways_out(spec: NetSpec, samples: int) -> str:
    reachable = [row.name for row in spec.layers if min_samples(spec, row.name) <= samples]
    if not reachable:
        return "tile the clip (short='tile')" if samples else 'give a longer clip'
    return f"use layer='{reachable[-1]}' ({seconds(min_samples(spec, reachable[-1]))}) or tile the clip (short='tile')"


def seconds(samples: int) -> str:
    """A number of samples as people read it: `9.50 s`; below a hundredth of a second, in samples."""
    if 0 < samples < SAMPLE_RATE / 100:
        return f'{samples} sample{"s" if samples > 1 else ""}'
    return f'{samples / SAMPLE_RATE:.2f} s'
