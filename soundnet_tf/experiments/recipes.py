"""Recipes for training on labels: the authors' settings, and later methods, which are off by default."""

import dataclasses
import math
from typing import Any

from soundnet_tf.config import PRECISIONS, SCHEDULES
from soundnet_tf.errors import SoundNetError


def _setting(default: Any, low: float, high: float, help: str) -> Any:
    return dataclasses.field(default=default, metadata={'min': low, 'max': high, 'help': help})


def _layer(help: str) -> Any:
    return dataclasses.field(default='', metadata={'help': help})


def _choice(choices: tuple[str, ...], help: str) -> Any:
    return dataclasses.field(default=choices[0], metadata={'choices': choices, 'help': help})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The defaults are the authors' fine-tuning (main_finetune.lua): a new head of kernel 4, crops of 5 s, Adam.

    Between-class mixing is that of Tokozume, Ushiku, Harada, "Learning from Between-class Examples for Deep Sound
    Recognition" (2018); their recipe also has padding, stretching and gain.
    """

    epochs: int = _setting(50, 1, math.inf, 'passes over the training clips')
    batch: int = _setting(256, 1, math.inf, 'max clips per step')
    crop_s: float = _setting(
        5.0, 0.01, 600, 'seconds of a training crop; shorter clips are repeated, or padded with pad_s'
    )
    head_kernel: int = _setting(4, 1, 64, 'kernel size of the head, in frames of the last layer')
    last_layer: str = _layer('the layer that the head reads, such as pool5; empty: the last one of the net')
    last_stride: int = _setting(
        0, 0, 64, "stride of that layer; 0: the net's own. With 1 the head averages over steps that a stride leaves out"
    )
    dense: int = _setting(
        1,
        1,
        64,
        'after training, give the last layer so many times as many time steps, for a head of kernel 1 to average over',
    )
    freeze: str = _layer(
        'the last layer that is not trained, such as conv2, or all: train only the head; frozen layers run in '
        'inference mode'
    )
    moving_statistics: bool = _setting(
        False, 0, 1, "normalise by the batch norms' moving statistics, which stay as they are, not by the batch's"
    )
    learning_rate: float = _setting(1e-3, 1e-9, 1, 'learning rate of Adam, beta1 0.9')
    schedule: str = _choice(SCHEDULES, 'learning-rate schedule; cosine ends at 0')
    weight_decay: float = _setting(0.0, 0, 1, "weight decay of AdamW, on the convolutions' kernels")
    dropout: float = _setting(0.0, 0, 0.99, "dropout rate of the head's inputs")
    mix: bool = _setting(False, 0, 1, 'train on mixtures of clips of different classes, weighted by loudness')
    gain_db: float = _setting(0.0, 0, 60, 'max random gain, up or down')
    flip: bool = _setting(False, 0, 1, 'random sign of the waveform')
    trim_db: float = _setting(
        0.0, 0, 80, 'trim both ends of a clip that are this far below its max level; 0: no trimming'
    )
    pad_s: float = _setting(0.0, 0, 600, 'min seconds of silence on both sides of a clip, included in crops')
    stretch: float = _setting(1.0, 1, 4, 'max factor of random speed, up or down')
    filter_db: float = _setting(0.0, 0, 60, 'max random gain of each octave, up or down')
    refit: float = _setting(0.0, 0, 1e6, 'C of a logistic regression that refits the head at the end; 0: no refit')
    copies: int = _setting(
        0, 0, 1000, 'copies of each clip that a refitted head learns from too, at other speeds and in other places'
    )
    noises: int = _setting(0, 0, 100_000, 'noises of random colours that a refitted head learns to be of no class')
    precision: str = _choice(
        PRECISIONS, 'of training; bfloat16 is faster on processors that support it, float16 on GPUs'
    )
    evaluate_every: int = _setting(1, 1, math.inf, 'epochs between evaluations of the held-out clips')

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.freeze == 'all' and self.precision != 'float32':
            raise SoundNetError(f'precision={self.precision} has no effect with freeze=all: leave one of the two out')
        for name, count in (('copies', self.copies), ('noises', self.noises)):
            if count and not self.refit:
                raise SoundNetError(f'{name}={count} has an effect on a refitted head only: set refit, or {name}=0')

    def rate(self, epoch: float) -> float:
        """The learning rate after a number of epochs, which may be fractional."""
        if self.schedule == 'constant':
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Raise SoundNetError for a value of another type, out of range, or that is not one of the choices."""
    name, kind, facts = field.name, type(field.default), field.metadata
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise SoundNetError(f'{name} must be of type {kind.__name__}, got {value!r}')
    if kind is str:
        if value not in facts.get('choices', [value]):
            raise SoundNetError(f'{name} must be {" or ".join(facts["choices"])}, got {value!r}')
    elif not facts['min'] <= value <= facts['max']:
        bounds = f'from {facts["min"]:g} to {facts["max"]:g}'
        bounds = bounds if facts['max'] < math.inf else f'at least {facts["min"]:g}'
        raise SoundNetError(f'{name} must be {bounds}, got {value:g}')


_FROM_SCRATCH = Recipe(
    epochs=180,
    batch=32,
    crop_s=3.0,
    head_kernel=1,
    schedule='cosine',
    weight_decay=4e-3,
    dropout=0.5,
    gain_db=6.0,
    flip=True,
    trim_db=40.0,
    pad_s=1.5,
    stretch=1.25,
    filter_db=12.0,
    refit=0.1,
    copies=4,
    noises=100,
    evaluate_every=20,
)

_FROM_ORIGINAL = dataclasses.replace(
    _FROM_SCRATCH,
    epochs=200,
    moving_statistics=True,
    dropout=0.3,
    mix=True,
    pad_s=0.75,
    filter_db=6.0,
    refit=0.03,
    copies=8,
    evaluate_every=50,
)

RECIPES = {
    'authors': Recipe(),
    'from_scratch': _FROM_SCRATCH,
    'from_original': _FROM_ORIGINAL,
    'from_original_long': dataclasses.replace(
        _FROM_ORIGINAL, epochs=400, last_stride=1, filter_db=9.0, dense=4, refit=0.3
    ),
}
"""By name: the authors' for a pretrained net; for training from scratch on a few hundred clips; for the original net on
as many; and for the original net on a thousand or more, of many classes."""
