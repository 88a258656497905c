"""The configuration of a training run."""

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
PRECISIONS = ('float32', 'bfloat16', 'float16')
SCHEDULES = ('constant', 'cosine')
NETS = {'soundnet8': SOUNDNET8, 'soundnet5': SOUNDNET5}


@dataclasses.dataclass(frozen=True)
class Training:
    """How a net is trained on records. The defaults are the paper's: Adam at 1e-3 with beta1 0.9, 64 clips of 20 s, KL.

    Everything else is off by default.
    """

    steps: int = 100_000
    batch: int = 64
    """Clips per step, over all devices and workers."""
    clip_s: float = 20.0
    """Shorter clips are repeated, longer ones trimmed."""
    seed: int = 0
    """For the initial weights, the order of the records and the augmentation."""

    loss: str = 'kl'
    """`kl`: KL(teacher || student), or `l2`: the squared distance of their probabilities."""
    reduction: str = 'per_example'
    """`torch` is that of the authors' code: the mean over classes and the time steps of all heads, times 250."""
    pairing: str = 'index'
    """How time steps and teacher frames are paired: by `index`, as the authors do, or by nearest `time`."""
    temperature: float = 1.0
    """Divides the logits of teacher and student; its square multiplies the loss (Hinton et al., 2015)."""
    teachers: tuple[str, ...] = ()
    """The teachers to use; empty for all teachers of the records."""
    freeze: str = ''
    """The last layer that is not trained, such as conv6; empty: all are trained."""
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Weights of the teachers' losses, by teacher; 1 by default."""

    learning_rate: float = 1e-3
    schedule: str = 'constant'
    """Of the learning rate: `constant`, or `cosine`, which reaches 0 at the last step."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises linearly from 0."""
    clip_norm: float = 0.0
    """Max global norm of the gradients; 0 turns clipping off."""
    ema: float = 0.0
    """Decay of the exponential moving average of the weights, such as 0.999; 0 turns it off."""
    precision: str = 'float32'
    """Of the convolutions: `bfloat16`, or on GPUs `float16`; weights, statistics and losses stay float32."""
    gain_db: float = 0.0
    """Augmentation: a random gain of up to this many dB up or down."""
    crop: bool = False
    """Augmentation: a random crop of records longer than `clip_s`, aligned to the teachers' frames."""

    validate_every: int = 0
    """Steps between validations on the `held_out` shards. The net with the lowest loss is saved as `best`."""
    held_out: int = 0
    """Number of shards, from the end, used for validation only."""

    decoder: str = 'auto'
    distribution: str = 'none'
    deterministic: bool = False
    """Bit-identical results from run to run on the same machine; slower."""
    skip_bad_records: bool = False
    """Skip and count damaged records instead of stopping."""
    save_every: int = 500
    """Steps between checkpoints."""

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
                raise SoundNetError(f'{name} must be {" or ".join(allowed)}, got {getattr(self, name)!r}')
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise SoundNetError(f'weights must be at least 0, got {dict(self.weights)}')
        if self.warmup_steps and self.warmup_steps >= self.steps:
            raise SoundNetError(f'warmup_steps must be less than steps, {self.steps}, got {self.warmup_steps}')
        if bool(self.validate_every) != bool(self.held_out):
            raise SoundNetError('validate_every (steps) and held_out (shards) must be set together')

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A net and how it is trained."""

    name: str
    about: str
    net: str = 'soundnet8'
    width: float = 1.0
    """Fraction of the filters of each layer."""
    training: Training = Training()

    def __post_init__(self) -> None:
        if self.net not in NETS:
            raise SoundNetError(f'net must be {" or ".join(NETS)}, got {self.net!r}')
        if not 0 < self.width <= 1:
            raise SoundNetError(f'width must be more than 0 and at most 1, got {self.width}')

    def spec(self) -> NetSpec:
        """The architecture."""
        return thin(NETS[self.net], self.width)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def override(experiment: Experiment, settings: Sequence[str]) -> Experiment:
    """The experiment with changed settings, each `name=value`: `net=soundnet5`, `loss=l2`, `weights=places=2`.

    The names are the fields of Experiment and Training; commas separate the items of lists and weights.
    """
    own: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition('=')
        changed, of = (own, experiment) if name in ('net', 'width') else (training, experiment.training)
        if not equals or name not in SETTINGS:
            raise SoundNetError(f'{setting!r}: unknown setting. Use name=value, with one of {", ".join(SETTINGS)}')
        changed[name] = _value(name, text, getattr(of, name))
    # All at once, since some depend on each other.
    return dataclasses.replace(experiment, **own, training=dataclasses.replace(experiment.training, **training))


SETTINGS = ('net', 'width', *(field.name for field in dataclasses.fields(Training)))


def _value(name: str, text: str, like: Any) -> Any:
    """The text converted to the type of the field."""
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
        raise SoundNetError(f'{name} must be {kind}, got {text!r}') from None
