"""What a training run is, as a value."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, NetSpec, thin

LOSSES = ('kl', 'l2')
REDUCTIONS = ('per_example', 'torch')
PAIRINGS = ('index', 'time')
DISTRIBUTIONS = ('none', 'mirrored', 'multiworker')
PRECISIONS = ('float32', 'bfloat16')
SCHEDULES = ('constant', 'cosine')
NETS = {'soundnet8': SOUNDNET8, 'soundnet5': SOUNDNET5}


@dataclasses.dataclass(frozen=True)
class Training:
    """How a net learns from records: the paper's way by default (Adam at 1e-3 with beta1 0.9, 64 clips of 20 s, KL).

    What departs from the paper is off by default.
    """

    steps: int = 100_000
    batch: int = 64
    """Clips, over all devices and workers."""
    clip_s: float = 20.0
    """Shorter clips are repeated, longer ones trimmed."""
    seed: int = 0
    """Of the weights, the order of the records, and the augmentation."""

    loss: str = 'kl'
    """KL(teacher || student), or l2: the squared distance of their probabilities."""
    reduction: str = 'per_example'
    """`torch` is the authors': the mean over classes too, over the time steps of all heads, times 250."""
    pairing: str = 'index'
    """Time steps and teacher frames: by index, as the authors do, or each step with the frame nearest in `time`."""
    temperature: float = 1.0
    """Divides the logits of teacher and student; the loss is multiplied by its square (Hinton et al., 2015)."""
    teachers: tuple[str, ...] = ()
    """Of the records' teachers; none named means all."""
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Of the teachers' losses, 1 where nothing is said."""

    learning_rate: float = 1e-3
    schedule: str = 'constant'
    """Or `cosine`, to 0 at the last step."""
    warmup_steps: int = 0
    """In which the learning rate rises from 0."""
    clip_norm: float = 0.0
    """No gradient longer than this; 0 for any."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights, such as 0.999; 0 turns it off."""
    precision: str = 'float32'
    """`bfloat16` computes convolutions in half the bytes; weights, statistics and losses stay float32."""
    jit: bool = False
    """Compile the step with XLA."""
    gain_db: float = 0.0
    """Each clip louder or softer by up to so much."""
    crop: bool = False
    """Where a record is longer than `clip_s`, begin at any of its frames' units."""

    validate_every: int = 0
    """Steps; needs `held_out` shards. The net with the least loss there is kept beside the last."""
    held_out: int = 0
    """The last so many shards are for validation alone."""

    decoder: str = 'auto'
    distribution: str = 'none'
    deterministic: bool = False
    """The same numbers to the bit, on the same machine; slower."""
    skip_bad_records: bool = False
    """Leave out, and count, what is damaged, instead of stopping with its name."""
    save_every: int = 500
    """Steps from checkpoint to checkpoint."""

    def __post_init__(self) -> None:
        for name in ('steps', 'batch', 'clip_s', 'learning_rate', 'save_every', 'temperature'):
            if not 0 < getattr(self, name) < math.inf:
                raise SoundNetError(f'{name} must be more than 0, got {getattr(self, name)}')
        for name in ('seed', 'warmup_steps', 'clip_norm', 'gain_db', 'validate_every', 'held_out'):
            if not 0 <= getattr(self, name) < math.inf:
                raise SoundNetError(f'{name} must be at least 0, got {getattr(self, name)}')
        if not 0 <= self.ema < 1:
            raise SoundNetError(f'ema must be at least 0 and less than 1, got {self.ema}')
        for name, allowed in (
            ('loss', LOSSES),
            ('reduction', REDUCTIONS),
            ('pairing', PAIRINGS),
            ('schedule', SCHEDULES),
            ('precision', PRECISIONS),
            ('distribution', DISTRIBUTIONS),
        ):
            if getattr(self, name) not in allowed:
                raise SoundNetError(f'{name} is {" or ".join(allowed)}, not {getattr(self, name)!r}')
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise SoundNetError(f'weights must be at least 0, got {dict(self.weights)}')
        if self.warmup_steps and self.warmup_steps >= self.steps:
            raise SoundNetError(f'warmup_steps must be less than steps, {self.steps}, got {self.warmup_steps}')
        if bool(self.validate_every) != bool(self.held_out):
            raise SoundNetError('validate_every and held_out go together: every so many steps, on so many shards')

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A net and how it learns."""

    name: str
    about: str
    net: str = 'soundnet8'
    width: float = 1.0
    """The part of the filters that is kept."""
    training: Training = Training()

    def __post_init__(self) -> None:
        if self.net not in NETS:
            raise SoundNetError(f'net is {" or ".join(NETS)}, not {self.net!r}')
        if not 0 < self.width <= 1:
            raise SoundNetError(f'width is more than 0 and at most 1, got {self.width}')

    def spec(self) -> NetSpec:
        """The net's table."""
        return NETS[self.net] if self.width == 1 else thin(NETS[self.net], self.width)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def override(experiment: Experiment, settings: Sequence[str]) -> Experiment:
    """The experiment with other values, each written `name=value`: `net=soundnet5`, `loss=l2`, `weights=places=2`.

    Names are those of Experiment and Training; lists and weights are separated by commas.
    """
    own: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition('=')
        changed, of = (own, experiment) if name in ('net', 'width') else (training, experiment.training)
        if not equals or name not in KNOWN:
            raise SoundNetError(f'{setting!r}: write name=value, the name one of {", ".join(KNOWN)}')
        changed[name] = _value(name, text, getattr(of, name))
    # All at once, since some go together.
    return dataclasses.replace(experiment, **own, training=dataclasses.replace(experiment.training, **training))


KNOWN = ('net', 'width', *(field.name for field in dataclasses.fields(Training)))


def _value(name: str, text: str, like: Any) -> Any:
    """The text as a value of the kind that the field has."""
    try:
        if isinstance(like, bool):
            return {'true': True, 'false': False}[text.lower()]
        if isinstance(like, Mapping):
            return {key: float(number) for key, _, number in (part.partition('=') for part in text.split(',') if part)}
        if isinstance(like, tuple):
            return tuple(part for part in text.split(',') if part)
        return type(like)(text)
    except (ValueError, KeyError):
        kind = {bool: 'true or false', int: 'a whole number', float: 'a number'}.get(type(like), 'name=number,...')
        raise SoundNetError(f'{name} is {kind}, not {text!r}') from None
