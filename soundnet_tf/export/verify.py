"""Verify an export: load it in a fresh process and compare its outputs with the Keras net's."""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform, fit_length
from soundnet_tf.errors import ExportRefused, SoundNetError
from soundnet_tf.export import truth
from soundnet_tf.parallel import processes

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet


FILES = {'tflite': 'model.tflite', 'net': 'net.tflite', 'keras': 'model.keras', 'onnx': 'model.onnx'}
"""The file name of each kind of export; a TF-Hub module is the folder itself."""


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The allowed difference from Keras: of any number, relative to the output's largest; and of the direction, which
    may be stricter on real clips than on synthetic sounds."""

    difference: float = float('inf')
    cosine: float = -1.0
    clip_cosine: float = -1.0


CLOSE = Tolerance(difference=2e-4)
"""For exports that differ by rounding only."""

HALVED = Tolerance(difference=2e-2, cosine=0.9999)
"""For weights in float16. Rounding the authors' weights changes outputs by up to 1.2% on silence, 0.3% on a clip."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to write and check an export.

    `write` fills a folder; `outputs` are its outputs, by the names of `truth`; `samples` is its input length, None for
    any; `about` is for its model.json.
    """

    form: str
    outputs: tuple[str, ...]
    write: Callable[[pathlib.Path], None]
    tolerance: Tolerance
    samples: int | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measured:
    """The difference from Keras: the worst over all sounds, by output; and how often the top class agrees."""

    sounds: tuple[str, ...]
    difference: dict[str, float]
    cosine: dict[str, float]
    clip_cosine: dict[str, float]
    top1: dict[str, float]

    def wrong(self, tolerance: Tolerance) -> list[str]:
        """What exceeds the tolerance, in words."""
        # Not `>` and `<`: NaN must not pass.
        far = [
            f'{name} differs by {off:.1e} of its largest value ({tolerance.difference:.0e} is allowed)'
            for name, off in self.difference.items()
            if not off <= tolerance.difference
        ]
        kinds = [(self.cosine, tolerance.cosine, ''), (self.clip_cosine, tolerance.clip_cosine, ' on the clip')]
        return far + [
            f'{name} has a cosine of {cosine:.4f}{where} ({minimum:g} is required)'
            for cosines, minimum, where in kinds
            for name, cosine in cosines.items()
            if not cosine >= minimum
        ]

    def __str__(self) -> str:
        worst = max(self.difference, key=lambda name: self.difference[name])
        lowest = min(self.cosine, key=lambda name: self.cosine[name])
        text = f'largest difference from Keras {self.difference[worst]:.1e} of the largest value ({worst})'
        text += f', min cosine {self.cosine[lowest]:.6f} ({lowest})'
        text += f', on the clip {min(self.clip_cosine.values()):.6f}' if self.clip_cosine else ''
        agree = ', '.join(f'{head} {share:.0%}' for head, share in self.top1.items())
        text += (f', top-1 agrees: {agree}' if agree else '') + f'; on {", ".join(self.sounds)}'
        return text if self.clip_cosine else f'{text}, no real clip (pass one: --clip)'


def check(net: 'SoundNet', plan: Plan, folder: pathlib.Path, clip: Waveform | None) -> Measured:
    """Load what `plan` wrote into `folder` in a fresh process, and compare it with Keras.

    On silence, noise, a tone and, if passed, a real clip, loud and quiet, repeated to the length needed. Raises
    ExportRefused if it exceeds the plan's tolerance, or cannot be run.
    """
    sounds = _sounds(net, plan, clip)
    outputs, run = _reloaded(plan.form, folder, sounds), truth.truth_of(net, plan.outputs)
    expected = {f'{sound}/{name}': value for sound, waveform in sounds.items() for name, value in run(waveform).items()}
    if set(outputs) != set(expected):
        raise ExportRefused(f'it outputs {sorted(outputs)}, not {sorted(expected)}')
    measured = Measured(
        sounds=tuple(sounds),
        difference=_worst(outputs, expected, plan.outputs, difference, max),
        cosine=_worst(outputs, expected, plan.outputs, cosine, min),
        clip_cosine=_worst(
            outputs, {key: v for key, v in expected.items() if 'clip/' in key}, plan.outputs, cosine, min
        ),
        top1=_top1(outputs, expected, net.spec.head_names),
    )
    wrong = measured.wrong(plan.tolerance)
    if wrong:
        raise ExportRefused('; '.join(wrong))
    return measured


def _sounds(net: 'SoundNet', plan: Plan, clip: Waveform | None) -> dict[str, Waveform]:
    # For any length, one that leaves a remainder in every layer.
    samples = plan.samples or truth.min_samples(net.spec, plan.outputs) + SAMPLE_RATE + 7
    times = np.arange(samples) / SAMPLE_RATE
    sounds = {
        'silence': np.zeros(samples),
        'noise': np.random.default_rng(0).uniform(-0.5, 0.5, samples),
        '440 Hz': 0.5 * np.sin(2 * np.pi * 440 * times),
    }
    if clip is not None:
        sounds |= {'clip': fit_length(clip, samples), 'quiet clip': quiet(fit_length(clip, samples))}
    return {name: waveform.astype(np.float32) for name, waveform in sounds.items()}


def quiet(waveform: Waveform) -> Waveform:
    """The same at a peak of -40 dBFS."""
    return waveform * np.float32(0.01 / max(float(np.abs(waveform).max(initial=0)), 1e-9))


def _reloaded(form: str, folder: pathlib.Path, sounds: Mapping[str, Waveform]) -> truth.Values:
    with tempfile.TemporaryDirectory() as home:
        inputs, results = os.path.join(home, 'sounds.npz'), os.path.join(home, 'outputs.npz')
        np.savez(inputs, **sounds)
        try:
            # Without a GPU: some multiply in fewer bits than the comparison needs.
            processes.run('soundnet_tf.export.reload', form, str(folder), inputs, results)
        except SoundNetError as error:
            raise ExportRefused(f'it cannot be run: {error}') from None
        with np.load(results) as file:
            return {name: file[name] for name in file.files}


def _worst(
    actual: truth.Values,
    expected: truth.Values,
    outputs: tuple[str, ...],
    measure: Callable[[NDArray[Any], NDArray[Any]], float],
    worst: Callable[..., Any],
) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in outputs}
    for key, value in expected.items():
        found[key.partition('/')[2]].append(measure(actual[key], value))
    # Keep NaN, which Python's `max` and `min` may drop.
    return {name: float('nan') if np.isnan(values).any() else worst(values) for name, values in found.items() if values}


def difference(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """The max difference, relative to the largest expected value; infinite if the shapes differ."""
    if actual.shape != expected.shape:
        return float('inf')
    return float(np.abs(actual - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-12))


def cosine(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Of all numbers as one vector; 1 if both are 0, -1 if the shapes differ."""
    if actual.shape != expected.shape:
        return -1.0
    a, b = actual.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else float(not (a.any() or b.any()))


def _top1(actual: truth.Values, expected: truth.Values, heads: tuple[str, ...]) -> dict[str, float]:
    agree = {}
    for head in heads:
        same = [
            actual[key].argmax(-1) == value.argmax(-1)
            for key, value in expected.items()
            if key.partition('/')[2] in (head, f'{head}_clip') and value.size
        ]
        if same:
            agree[head] = float(np.mean(np.concatenate([np.atleast_1d(one) for one in same])))
    return agree
