"""How a net learns from labels, as a value: the authors' recipe, and what later work adds, each off by default."""

import dataclasses
import math
from typing import Any

from soundnet_tf.config import PRECISIONS, SCHEDULES
from soundnet_tf.errors import SoundNetError


def _setting(default: Any, low: float, high: float, help: str) -> Any:
    return dataclasses.field(default=default, metadata={'min': low, 'max': high, 'help': help})


def _choice(choices: tuple[str, ...], help: str) -> Any:
    return dataclasses.field(default=choices[0], metadata={'choices': choices, 'help': help})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Its defaults are the authors' fine-tuning (main_finetune.lua): a new head of kernel 4, crops of 5 s, Adam.

    Between-class mixing is that of Tokozume, Ushiku, Harada, "Learning from Between-class Examples for Deep Sound
    Recognition" (2018); padding, stretching, gain and several crops at test are in their recipe too.
    """

    epochs: int = _setting(50, 1, math.inf, 'passes over the training clips')
    batch: int = _setting(256, 1, math.inf, 'clips per step, at most')
    crop_s: float = _setting(
        5.0, 0.01, 600, 'seconds of a training crop; a shorter clip is repeated, or with pad_s in silence'
    )
    head_kernel: int = _setting(4, 1, 64, 'frames of the last layer that an output sees; 1: each for itself')
    freeze: bool = _setting(False, 0, 1, 'learn the head alone: the other layers stay as they are, in inference mode')
    learning_rate: float = _setting(1e-3, 1e-9, 1, 'of Adam, beta1 0.9')
    schedule: str = _choice(SCHEDULES, 'of the learning rate; cosine ends at 0')
    warmup: int = _setting(0, 0, math.inf, 'epochs in which the learning rate rises from 0')
    weight_decay: float = _setting(0.0, 0, 1, "of AdamW, on the convolutions' kernels")
    ema: float = _setting(0.0, 0, 0.99999, 'decay of the exponential moving average of the weights; 0 turns it off')
    dropout: float = _setting(0.0, 0, 0.99, "share of the head's inputs left out in training")
    label_smoothing: float = _setting(0.0, 0, 0.99, 'share of the label spread over all classes')
    mix: bool = _setting(False, 0, 1, 'learn from pairs of clips of different classes, mixed by their loudness')
    gain_db: float = _setting(0.0, 0, 60, 'loudness is changed at random by up to so much either way')
    flip: bool = _setting(False, 0, 1, 'turn the sign of the waveform at random')
    trim_db: float = _setting(0.0, 0, 80, 'cut off what is so far below the loudest moment at both ends; 0: nothing')
    pad_s: float = _setting(
        0.0, 0, 600, 'seconds of silence, at least, on both sides of a clip, for crops to reach into'
    )
    stretch: float = _setting(1.0, 1, 4, 'speed is changed at random, up to so many times faster or slower')
    filter_db: float = _setting(0.0, 0, 60, 'octaves are turned up or down at random by up to so much')
    refit: float = _setting(0.0, 0, 1e6, 'C of a logistic regression that fits the head anew in the end; 0: none does')
    precision: str = _choice(PRECISIONS, 'while training; bfloat16 is faster on processors that support it')
    test_crops: int = _setting(0, 0, 1000, 'crops that a clip is judged by, evenly over it; 0: the clip whole')
    evaluate_every: int = _setting(1, 1, math.inf, 'epochs from one look at the held-out clips to the next')

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.warmup and self.warmup >= self.epochs:
            raise SoundNetError(f'warmup of {self.warmup} epochs leaves none of {self.epochs}')
        if self.freeze and self.precision != 'float32':
            raise SoundNetError(f'precision={self.precision} has no effect with freeze: leave one of the two out')

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, which may be a fraction."""
        if epoch < self.warmup:
            return self.learning_rate * epoch / self.warmup
        if self.schedule == 'constant':
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * (epoch - self.warmup) / (self.epochs - self.warmup))) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    """Raise SoundNetError for a value of another type, out of range, or that is not one of the choices."""
    name, kind, facts = field.name, type(field.default), field.metadata
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise SoundNetError(f'{name} must be of type {kind.__name__}, got {value!r}')
    if kind is str:
        if value not in facts['choices']:
            raise SoundNetError(f'{name} must be {" or ".join(facts["choices"])}, got {value!r}')
    elif not facts['min'] <= value <= facts['max']:
        bounds = f'from {facts["min"]:g} to {facts["max"]:g}'
        bounds = bounds if facts['max'] < math.inf else f'at least {facts["min"]:g}'
        raise SoundNetError(f'{name} must be {bounds}, got {value:g}')


RECIPES = {
    'authors': Recipe(),
    'from_scratch': Recipe(
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
        evaluate_every=20,
    ),
}
"""By name: for a net that has learned before, and for one that begins with a few hundred clips."""
