"""How a net learns from labels, as a value: the authors' recipe, and what later work adds, each off by default."""

import dataclasses
import math
from typing import Any

from soundnet_tf.errors import SoundNetError


def _setting(default: Any, least: float, most: float, help: str) -> Any:
    return dataclasses.field(default=default, metadata={'least': least, 'most': most, 'help': help})


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
    cosine: bool = _setting(False, 0, 1, 'let the learning rate fall to 0 along a cosine')
    warmup: int = _setting(0, 0, math.inf, 'epochs in which the learning rate rises from 0')
    weight_decay: float = _setting(0.0, 0, 1, "of AdamW, on the convolutions' kernels")
    average: float = _setting(0.0, 0, 0.99999, 'keep a moving average of the weights with this momentum; 0: none')
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
    bfloat16: bool = _setting(False, 0, 1, 'multiply in bfloat16 while learning: quicker on processors that have it')
    test_crops: int = _setting(0, 0, 1000, 'crops that a clip is judged by, evenly over it; 0: the clip whole')
    evaluate_every: int = _setting(1, 1, math.inf, 'epochs from one look at the held-out clips to the next')

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, (least, most) = getattr(self, field.name), (field.metadata['least'], field.metadata['most'])
            wanted = type(field.default)
            whole = wanted is float and type(value) is int
            if type(value) is not wanted and not whole:
                raise SoundNetError(f'{field.name} is of type {wanted.__name__}, not {value!r}')
            if not least <= value <= most:
                bounds = f'from {least:g} to {most:g}' if most < math.inf else f'at least {least:g}'
                raise SoundNetError(f'{field.name} must be {bounds}, got {value:g}')
        if self.warmup and self.warmup >= self.epochs:
            raise SoundNetError(f'warmup of {self.warmup} epochs leaves none of {self.epochs}')
        if self.freeze and self.bfloat16:
            raise SoundNetError('bfloat16 is for layers that learn, and freeze lets none: leave out one of the two')

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, which may be a fraction."""
        if epoch < self.warmup:
            return self.learning_rate * epoch / self.warmup
        if not self.cosine:
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * (epoch - self.warmup) / (self.epochs - self.warmup))) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


RECIPES = {
    'authors': Recipe(),
    'from_scratch': Recipe(
        epochs=180,
        batch=32,
        crop_s=3.0,
        head_kernel=1,
        cosine=True,
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
