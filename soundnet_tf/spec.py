"""A net is a table: the rows of SoundNet, and the two tables that the paper trained.

The rows here are the only place where a kernel, a stride or a padding is written; lengths,
receptive fields, Keras layers and exports are all derived from them.

Source: Aytar, Vondrick, Torralba, "SoundNet: Learning Sound Representations from Unlabeled
Video" (2016), tables 1 and 2, with strides and paddings as in the authors' released Torch code.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

SAMPLE_RATE = 22_050
"""Samples per second of every waveform in this package."""

GAIN = 256.0
"""The first node of every net: samples in [-1, 1] become the [-256, 256] of the authors' code."""

BATCH_NORM_EPSILON = 1e-5
"""Added to a variance, as in the authors' code. Keras' own is 1e-3."""


MAX_SIZE = 1 << 20
"""Of filters, classes, kernels, strides and paddings: TensorFlow counts in 32 bits, and multiplies some of them."""

MAX_SAMPLES = 1 << 31
"""Of the clips that a net learned from: 27 hours."""


def _check_sizes(row: Any, *names: str, maximum: int = MAX_SIZE) -> None:
    if not isinstance(row.name, str) or not row.name.isprintable() or not row.name or '/' in row.name:
        raise ValueError(f"a row's name must be printable text without '/', got {row.name!r}")
    for name in names:
        minimum = 0 if name.startswith('padding') else 1
        value = getattr(row, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f'{row.name}: {name} must be an integer of at least {minimum}, got {value!r}')
        if value > maximum:
            raise ValueError(f'{row.name}: {name} must be at most {maximum:,}, got {value:,}')


class _Padded:
    """A row with zeros on both sides of its input.

    `padding_end` is how many zeros stand behind the last step, where that is not `padding`: fewer where the net never
    learned from steps that read them (`geometry.trim_edges`).
    """

    name: str
    kernel: int
    padding: int
    padding_end: int | None

    @property
    def spacing(self) -> int:
        """Steps of the input from one tap of the kernel to the next."""
        return 1

    @property
    def extent(self) -> int:
        """Steps of the input from the first tap of the kernel to the last, both included."""
        return (self.kernel - 1) * self.spacing + 1

    @property
    def paddings(self) -> tuple[int, int]:
        """Zeros before the first step, and behind the last."""
        return self.padding, self.padding if self.padding_end is None else self.padding_end

    def _check_padding(self) -> None:
        if self.padding_end is not None:
            _check_sizes(self, 'padding_end')
            if self.padding_end > self.padding:
                raise ValueError(
                    f'{self.name}: padding_end must be at most padding, {self.padding}, got {self.padding_end}'
                )


@dataclasses.dataclass(frozen=True)
class Conv(_Padded):
    """A convolution over time with zero padding on both sides, then batch norm, then ReLU.

    `dilation` is the spacing of its taps, where that is not 1; its stride is 1 then.
    """

    name: str
    filters: int
    kernel: int
    padding: int
    stride: int = 2
    padding_end: int | None = None
    dilation: int | None = None

    def __post_init__(self) -> None:
        _check_sizes(self, 'filters', 'kernel', 'padding', 'stride')
        self._check_padding()
        if self.dilation is not None:
            _check_sizes(self, 'dilation', 'extent')
            if self.stride > 1:
                raise ValueError(f'{self.name}: with a dilation the stride must be 1, got {self.stride}')

    @property
    def spacing(self) -> int:
        return self.dilation or 1


@dataclasses.dataclass(frozen=True)
class Pool:
    """Maximum over `kernel` steps, moving by `step`, by default as many; the remainder is dropped."""

    name: str
    kernel: int
    step: int | None = None

    def __post_init__(self) -> None:
        _check_sizes(self, 'kernel')
        if self.step is not None:
            _check_sizes(self, 'step')

    @property
    def stride(self) -> int:
        return self.step or self.kernel

    @property
    def extent(self) -> int:
        return self.kernel

    @property
    def padding(self) -> int:
        return 0

    @property
    def paddings(self) -> tuple[int, int]:
        return 0, 0


ClipMean = Literal['probabilities', 'logits']


@dataclasses.dataclass(frozen=True)
class Head(_Padded):
    """A convolution from the last layer to `classes` logits per time step: no norm, no ReLU.

    `clip_mean` is what is averaged over time for the answer on a whole clip: the probabilities of the steps, as a
    teacher's posteriors are, or their logits, as a net that learned from labels does.
    """

    name: str
    classes: int
    kernel: int
    padding: int = 0
    stride: int = 2
    clip_mean: ClipMean = 'probabilities'
    padding_end: int | None = None

    def __post_init__(self) -> None:
        _check_sizes(self, 'classes', 'kernel', 'padding', 'stride')
        self._check_padding()
        if self.clip_mean not in get_args(ClipMean):
            raise ValueError(f"{self.name}: clip_mean must be 'probabilities' or 'logits', got {self.clip_mean!r}")


Row = Conv | Pool | Head


@dataclasses.dataclass(frozen=True)
class NetSpec:
    """A whole net: its trunk from the first layer to the last, and the heads on top of the trunk.

    `feature_layer` is the default layer of embeddings. `trained_samples` is the length of the clips that
    the net learned from, in samples, where all had one length and that is known.
    """

    name: str
    layers: tuple[Conv | Pool, ...]
    heads: tuple[Head, ...]
    feature_layer: str
    trained_samples: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable():
            raise ValueError(f'the name must be printable text, got {self.name!r}')
        if self.trained_samples is not None:
            _check_sizes(self, 'trained_samples', maximum=MAX_SAMPLES)
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'{self.name}: duplicate row names: {", ".join(twice)}')
        if not any(isinstance(row, Conv) for row in self.layers):
            raise ValueError(f'{self.name}: a net needs a convolution')
        if self.feature_layer not in {row.name for row in self.layers}:
            raise ValueError(f'{self.name}: feature_layer {self.feature_layer!r} is not one of its layers')

    @property
    def rows(self) -> tuple[Row, ...]:
        return (*self.layers, *self.heads)

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in self.layers)

    @property
    def head_names(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.heads)

    @property
    def head_alias(self) -> str:
        """The paper's name of the heads' row, conv8 in the 8-layer net and conv5 in the 5-layer net."""
        return f'conv{1 + sum(isinstance(row, Conv) for row in self.layers)}'

    def with_heads(self, teachers: Mapping[str, int]) -> 'NetSpec':
        """The same trunk with one head per teacher, `{name: classes}`, each in the first head's geometry."""
        if not teachers:
            return dataclasses.replace(self, heads=())
        if not self.heads:
            raise ValueError(f'{self.name} has no head to copy kernel, stride and padding from')
        heads = tuple(dataclasses.replace(self.heads[0], name=n, classes=c) for n, c in teachers.items())
        return dataclasses.replace(self, heads=heads)

    def with_edges(self) -> 'NetSpec':
        """The same net with all of its steps, including those that read padding which training never reached."""
        return dataclasses.replace(
            self,
            layers=tuple(dataclasses.replace(r, padding_end=None) if isinstance(r, Conv) else r for r in self.layers),
            heads=tuple(dataclasses.replace(head, padding_end=None) for head in self.heads),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` gives the same spec back."""
        return _set_fields(self) | {
            'layers': [{'kind': type(row).__name__.lower(), **_set_fields(row)} for row in self.layers],
            'heads': [_set_fields(head) for head in self.heads],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'NetSpec':
        """The inverse of `to_dict`. Raises ValueError, which names missing and unexpected keys."""
        try:
            kinds = {'conv': Conv, 'pool': Pool}
            layers = [(kinds[row['kind']], {k: v for k, v in row.items() if k != 'kind'}) for row in values['layers']]
            return cls(
                name=values['name'],
                layers=tuple(kind(**fields) for kind, fields in layers),
                heads=tuple(Head(**fields) for fields in values['heads']),
                feature_layer=values['feature_layer'],
                trained_samples=values.get('trained_samples'),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'not a NetSpec: {error}') from error


def _set_fields(values: Any) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(values).items() if value is not None}


def thin(spec: NetSpec, fraction: float) -> NetSpec:
    """The same geometry with `fraction` of the filters in every trunk layer, at least one each; itself for 1."""
    if fraction == 1:
        return spec
    layers = tuple(
        dataclasses.replace(row, filters=max(1, round(row.filters * fraction))) if isinstance(row, Conv) else row
        for row in spec.layers
    )
    return dataclasses.replace(spec, name=f'{spec.name}-thin', layers=layers)


SOUNDNET8 = NetSpec(
    name='soundnet8',
    layers=(
        Conv('conv1', filters=16, kernel=64, padding=32),
        Pool('pool1', kernel=8),
        Conv('conv2', filters=32, kernel=32, padding=16),
        Pool('pool2', kernel=8),
        Conv('conv3', filters=64, kernel=16, padding=8),
        Conv('conv4', filters=128, kernel=8, padding=4),
        Conv('conv5', filters=256, kernel=4, padding=2),
        Pool('pool5', kernel=4),
        Conv('conv6', filters=512, kernel=4, padding=2),
        Conv('conv7', filters=1024, kernel=4, padding=2),
    ),
    heads=(Head('imagenet', classes=1000, kernel=8), Head('places', classes=401, kernel=8)),
    feature_layer='pool5',
)

SOUNDNET5 = NetSpec(
    name='soundnet5',
    layers=(
        Conv('conv1', filters=32, kernel=64, padding=32),
        Pool('pool1', kernel=8),
        Conv('conv2', filters=64, kernel=32, padding=16),
        Pool('pool2', kernel=8),
        Conv('conv3', filters=128, kernel=16, padding=8),
        Pool('pool3', kernel=8),
        Conv('conv4', filters=256, kernel=8, padding=4),
    ),
    heads=(
        Head('imagenet', classes=1000, kernel=16, padding=4, stride=12),
        Head('places', classes=401, kernel=16, padding=4, stride=12),
    ),
    feature_layer='conv4',
)
