"""No export is taken on trust: it is loaded in a fresh process, heard beside the Keras net, and measured."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform, fit_length
from soundnet_tf.errors import ExportRefused
from soundnet_tf.export import truth

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet


FILES = {'tflite': 'model.tflite', 'net': 'net.tflite', 'keras': 'model.keras', 'onnx': 'model.onnx'}
"""What an export is called in its folder; a TF-Hub module is the folder itself."""


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far an export may be from Keras: in any number, relative to the output's largest; and in direction, which on
    real clips may be asked for more strictly than on sounds that no user has."""

    difference: float = float('inf')
    cosine: float = -1.0
    clip_cosine: float = -1.0


CLOSE = Tolerance(difference=2e-4)
"""Of what is to be the same but for rounding."""

HALVED = Tolerance(difference=2e-2, cosine=0.9999)
"""Of what has its weights in float16. The authors' weights round by up to 1.2% on silence, 0.3% on a clip."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """An export as it is to be made and checked.

    `write` fills a folder, and may return what it found on the way, for its model.json; `outputs` are what it gives, by
    the names of `truth`; `samples` is the length that it takes, None for any; `about` is for its model.json.
    """

    form: str
    outputs: tuple[str, ...]
    write: Callable[[pathlib.Path], Mapping[str, Any] | None]
    tolerance: Tolerance
    samples: int | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measured:
    """How far an export is from Keras: the worst over all sounds, by output; and how often the top class agrees."""

    sounds: tuple[str, ...]
    difference: dict[str, float]
    cosine: dict[str, float]
    clip_cosine: dict[str, float]
    top1: dict[str, float]

    def wrong(self, tolerance: Tolerance) -> list[str]:
        """What is past the tolerance, in words."""
        # Not `>` and `<`: what is no number must not pass.
        far = [
            f'{name} differs by {off:.1e} of its largest value ({tolerance.difference:.0e} is allowed)'
            for name, off in self.difference.items()
            if not off <= tolerance.difference
        ]
        kinds = [(self.cosine, tolerance.cosine, ''), (self.clip_cosine, tolerance.clip_cosine, ' on the clip')]
        return far + [
            f'{name} has a cosine of {cosine:.4f}{where} ({least:g} is asked)'
            for cosines, least, where in kinds
            for name, cosine in cosines.items()
            if not cosine >= least
        ]

    def __str__(self) -> str:
        worst = max(self.difference, key=lambda name: self.difference[name])
        least = min(self.cosine, key=lambda name: self.cosine[name])
        text = f'largest difference from Keras {self.difference[worst]:.1e} of the largest value ({worst})'
        text += f', least cosine {self.cosine[least]:.6f} ({least})'
        text += f', on the clip {min(self.clip_cosine.values()):.6f}' if self.clip_cosine else ''
        agree = ', '.join(f'{head} {share:.0%}' for head, share in self.top1.items())
        text += (f', top-1 agrees: {agree}' if agree else '') + f'; on {", ".join(self.sounds)}'
        return text if self.clip_cosine else f'{text}, no real clip (pass one: --clip)'


def check(net: 'SoundNet', plan: Plan, folder: pathlib.Path, clip: Waveform | None) -> Measured:
    """Load what `plan` wrote into `folder` in a fresh process, and compare it with Keras.

    On silence, noise, a tone and, where one is given, a real clip, loud and quiet, repeated to the length needed.
    Raises ExportRefused where it is past the plan's tolerance, or cannot be run at all.
    """
    sounds = _sounds(net, plan, clip)
    given, run = _reloaded(plan.form, folder, sounds), truth.truth_of(net, plan.outputs)
    wanted = {f'{sound}/{name}': value for sound, waveform in sounds.items() for name, value in run(waveform).items()}
    if set(given) != set(wanted):
        raise ExportRefused(f'it gives {sorted(given)}, not {sorted(wanted)}')
    measured = Measured(
        sounds=tuple(sounds),
        difference=_worst(given, wanted, plan.outputs, difference, max),
        cosine=_worst(given, wanted, plan.outputs, cosine, min),
        clip_cosine=_worst(given, {key: v for key, v in wanted.items() if 'clip/' in key}, plan.outputs, cosine, min),
        top1=_top1(given, wanted, net.spec.head_names),
    )
    wrong = measured.wrong(plan.tolerance)
    if wrong:
        raise ExportRefused('; '.join(wrong))
    return measured


def _sounds(net: 'SoundNet', plan: Plan, clip: Waveform | None) -> dict[str, Waveform]:
    # Where any length is taken, one that leaves a remainder in every layer.
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
        asked, answered = os.path.join(home, 'sounds.npz'), os.path.join(home, 'outputs.npz')
        np.savez(asked, **sounds)
        # The package as it is here, installed or not.
        top = pathlib.Path(__file__).parents[2]
        paths = [str(top), *filter(None, [os.environ.get('PYTHONPATH')])]
        # -P: nothing of the folder that the user happens to be in.
        command = [sys.executable, '-P', '-m', 'soundnet_tf.export.reload', form, str(folder), asked, answered]
        # Some GPUs multiply in fewer bits than the comparison asks for, and this process may hold all of their memory.
        environment = os.environ | {'PYTHONPATH': os.pathsep.join(paths), 'CUDA_VISIBLE_DEVICES': ''}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode < 0:
            raise ExportRefused(f'it cannot be run: the process was ended by {signal.Signals(-done.returncode).name}')
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f'the process ended with status {done.returncode}']
            raise ExportRefused(f'it cannot be run: {said[-1]}')
        with np.load(answered) as file:
            return {name: file[name] for name in file.files}


def _worst(
    given: truth.Values,
    wanted: truth.Values,
    outputs: tuple[str, ...],
    measure: Callable[[NDArray[Any], NDArray[Any]], float],
    worst: Callable[..., Any],
) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in outputs}
    for key, value in wanted.items():
        found[key.partition('/')[2]].append(measure(given[key], value))
    # NaN stays NaN, which `max` and `min` of Python may lose.
    return {name: float('nan') if np.isnan(values).any() else worst(values) for name, values in found.items() if values}


def difference(given: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The greatest, relative to the largest value that is wanted; infinite where the shapes differ."""
    if given.shape != wanted.shape:
        return float('inf')
    return float(np.abs(given - wanted).max(initial=0) / max(np.abs(wanted).max(initial=0), 1e-12))


def cosine(given: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Of all numbers as one vector; 1 where both are 0, -1 where the shapes differ."""
    if given.shape != wanted.shape:
        return -1.0
    a, b = given.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else float(not (a.any() or b.any()))


def _top1(given: truth.Values, wanted: truth.Values, heads: tuple[str, ...]) -> dict[str, float]:
    agree = {}
    for head in heads:
        same = [
            given[key].argmax(-1) == value.argmax(-1)
            for key, value in wanted.items()
            if key.partition('/')[2] in (head, f'{head}_clip') and value.size
        ]
        if same:
            agree[head] = float(np.mean(np.concatenate([np.atleast_1d(one) for one in same])))
    return agree
