"""Map the tensors of a weight file to the variables of a net, by name, and check every shape.

The widths are the file's own, so that a pruned or thinned net comes in too; kernels, strides and paddings are the
paper's.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from soundnet_tf.importing.forms import FORMS, NORM
from soundnet_tf.importing.tensors import Source
from soundnet_tf.spec import BATCH_NORM_EPSILON, SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool, Row

WIDEST = 4
"""Max width relative to the paper's. A wider net was not pruned, and its activations would fill the memory."""
COUNTS = 'num_batches_tracked'
"""PyTorch's batch norm counts batches; that is not a weight."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """A weight file compared with a `NetSpec`."""

    spec: NetSpec
    """With the file's own widths."""
    names: dict[str, str]
    """Each variable's tensor."""
    wrong: list[str]
    """What is missing, unexpected or misshapen. If anything is, ignore the rest."""


def best_fit(source: Source) -> Fit:
    """The file as the closer of the paper's two nets."""
    return min((fit(source, spec) for spec in (SOUNDNET8, SOUNDNET5)), key=lambda fit: len(fit.wrong))


def fit(source: Source, spec: NetSpec) -> Fit:
    """The file as a net of `spec`'s geometry."""
    names, wrong = _found(source, spec)
    used = set(names.values())
    wrong += [
        f'{name} {list(tensor.shape)} is unexpected'
        for name, tensor in source.tensors.items()
        if name not in used and not name.endswith(COUNTS)
    ]
    wrong += [
        f'{name} holds {source.tensors[name].dtype}, not floating point'
        for name in names.values()
        if source.tensors[name].dtype.kind != 'f'
    ]
    wrong += _numbers(source, names.items())
    wrong += _settings(source, spec)
    rows: list[Row] = []
    channels: int | None = 1
    for row in spec.rows:
        if isinstance(row, Pool):
            rows.append(row)
            continue
        width, own = _width(source, row, names, channels, wrong), 'classes' if isinstance(row, Head) else 'filters'
        rows.append(dataclasses.replace(row, **{own: width or getattr(row, own)}))
        channels = channels if isinstance(row, Head) else width
    layers = tuple(row for row in rows if not isinstance(row, Head))
    heads = tuple(row for row in rows if isinstance(row, Head))
    published = {head.classes: head.name for head in spec.heads}
    wrong += [
        f'{head.name} has {head.classes} classes, those of {published[head.classes]}: are the heads swapped?'
        for head in heads
        if published.get(head.classes, head.name) != head.name
    ]
    name = spec.name if (layers, heads) == (spec.layers, spec.heads) else f'{spec.name}-thin'
    return Fit(dataclasses.replace(spec, name=name, layers=layers, heads=heads), names, wrong)


def _numbers(source: Source, names: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Tensors with values that a net cannot compute with."""
    for key, name in names:
        tensor = source.tensors[name]
        if tensor.dtype.kind == 'f':
            with np.errstate(all='ignore'):
                bad = np.count_nonzero(~np.isfinite(np.asarray(tensor, np.float32)))
            if bad:
                yield f'{name} has {bad:,} values that are NaN or infinite in float32'
            if key.endswith('moving_variance') and (below := np.count_nonzero(tensor < 0)):
                yield f'{name} has {below:,} negative values, but is a variance'


def _places(spec: NetSpec) -> Iterator[tuple[Row, int]]:
    """Each row and its first module in Torch's net, counted from 1: norm and ReLU follow a convolution."""
    place = 1
    for row in spec.rows:
        yield row, place
        place += {Conv: 3, Pool: 1, Head: 0}[type(row)]


def _found(source: Source, spec: NetSpec) -> tuple[dict[str, str], list[str]]:
    """The tensor name of each variable, and which are missing."""
    form, names, missing = FORMS[source.form], {}, []
    for row, place in _places(spec):
        if isinstance(row, Pool):
            continue
        convolution, norm = form.stems(spec, row, place)
        stems_of = {'kernel': convolution, 'bias': convolution}
        if isinstance(row, Conv):
            stems_of |= dict.fromkeys(NORM, norm)
        for kind, stems in stems_of.items():
            candidates = [stem + form.kinds[kind] for stem in stems]
            name = next((name for name in candidates if name in source.tensors), None)
            if name is None:
                missing.append(f'{candidates[0]} is missing, {_described(kind, row.name)}')
            else:
                names[f'{row.name}/{kind}'] = name
    norms = [row.name for row in spec.layers if isinstance(row, Conv)]
    if not any(f'{row}/{kind}' in names for row in norms for kind in NORM):
        missing = [
            words
            for words in missing
            if not words.endswith(tuple(_described(kind, row) for kind in NORM for row in norms))
        ]
        missing.insert(0, 'there is no batch norm, so it is not SoundNet')
    return names, missing


def _described(kind: str, row: str) -> str:
    return f'the {kind.replace("_", " ")} of {row}'


def _width(
    source: Source, row: Conv | Head, names: Mapping[str, str], channels: int | None, wrong: list[str]
) -> int | None:
    """How many filters or classes a row has in the file; None if unknown.

    `channels` is the number of input channels, if known. Mismatches are appended to `wrong`.
    """
    if f'{row.name}/kernel' not in names:
        return None
    name = names[f'{row.name}/kernel']
    tensor = source.tensors[name]
    kernel = FORMS[source.form].kernel(tensor)
    if kernel is None or kernel.shape[0] != row.kernel or kernel.shape[1] != (channels or kernel.shape[1]):
        inputs = f'{channels or "any"} channels'
        wrong.append(f'{name} is {list(tensor.shape)}, not {row.kernel} steps of {inputs}, as {row.name} has')
    if kernel is None:
        return None
    width, max_width = kernel.shape[2], WIDEST * (row.classes if isinstance(row, Head) else row.filters)
    if not 1 <= width <= max_width:
        wrong.append(f'{name} is {list(tensor.shape)}: {row.name} can have 1 to {max_width} channels')
        return None
    for kind in ('bias', *NORM):
        name = names.get(f'{row.name}/{kind}')
        if name and source.tensors[name].shape != (width,):
            wrong.append(f'{name} is {list(source.tensors[name].shape)}, not [{width}], as {row.name} has')
    return width


def _settings(source: Source, spec: NetSpec) -> Iterator[str]:
    """Differences between the file's module settings and the `NetSpec`."""
    if not source.settings:
        return
    for row, place in _places(spec):
        geometry = {'kH': row.kernel, 'dH': row.stride, 'padH': row.padding}
        geometry |= {'kW': 1, 'dW': 1, 'padW': 0, 'dilationH': 1, 'groups': 1}
        if isinstance(row, Head):
            modules = {f'{place}.{1 + spec.heads.index(row)}': {'kind': 'SpatialConvolution', **geometry}}
        elif isinstance(row, Pool):
            modules = {f'{place}': {'kind': 'SpatialMaxPooling', 'ceil_mode': False, **geometry}}
        else:
            norm = {'kind': 'SpatialBatchNormalization', 'eps': BATCH_NORM_EPSILON}
            convolution = {'kind': 'SpatialConvolution', **geometry}
            modules = {f'{place}': convolution, f'{place + 1}': norm, f'{place + 2}': {'kind': 'ReLU'}}
        for module, expected in modules.items():
            found = source.settings.get(module, {})
            if not found:
                yield f'module {module} is missing, {expected["kind"]}'
            for setting, value in expected.items():
                if setting in found and found[setting] != value:
                    yield f'module {module} has {setting} {found[setting]}, not {value}'
