"""Run an export: write, check, describe it, and only then move it into place."""

import dataclasses
import datetime
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import ExportRefused, SoundNetError
from soundnet_tf.export import quality, truth
from soundnet_tf.export.representative import CalibrationClip
from soundnet_tf.export.verify import Measured, Plan, check
from soundnet_tf.nets import saved
from soundnet_tf.version import __version__

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet

PACKAGES = ('tensorflow', 'keras', 'numpy', 'ai-edge-litert', 'flatbuffers', 'onnx', 'onnxruntime')


QUANTISED = ('dynamic', 'int8')
"""Precisions that may make features less useful."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A finished export: its size, its difference from Keras, and what its users lose, if measured."""

    bytes: int
    samples: int | None
    """Of its input; None for any number."""
    measured: Measured
    quality: list[quality.Quality]
    """For a quantised export with enough clips."""

    def lines(self) -> list[str]:
        """As lines of text."""
        length = f', for clips of {self.samples / SAMPLE_RATE:g} s' if self.samples else ''
        return [f'{self.bytes / 1e6:.2f} MB{length}', str(self.measured), *map(str, self.quality)]


def carry_out(
    net: 'SoundNet',
    plan: Plan,
    out: str | os.PathLike[str],
    clip: Waveform | None = None,
    origin: Mapping[str, Any] | None = None,
    clips: Sequence[CalibrationClip] = (),
) -> Exported:
    """Make the folder `out`: the export and its model.json.

    `clip` is a real sound to compare by, `origin` the model.json of the saved net, and `clips` judge a quantised
    export. An older export there is replaced. Raises ExportRefused, and leaves `out` as it
    was, if the export exceeds its tolerance; SoundNetError if `out` contains anything else.
    """
    truth.every_output(net.spec)
    target, quantised = place(out), plan.about.get('precision') in QUANTISED
    with storage.whole_folder(target) as draft:
        plan.write(draft)
        try:
            measured = check(net, plan, draft, clip)
            lost = _quality(net, plan, draft, clips) if quantised else []
        except ExportRefused as error:
            hint = f'. {_hint(clips)}' if quantised else ''
            raise ExportRefused(f'{target}: not kept, since {error}{hint}') from None
        files = {path: path.stat().st_size for path in sorted(draft.rglob('*')) if path.is_file()}
        facts = {
            'export': plan.form,
            'outputs': plan.outputs,
            'samples': plan.samples,
            **plan.about,
            'measured': {
                'sounds': measured.sounds,
                'difference': measured.difference,
                'cosine': measured.cosine,
                'clip_cosine': measured.clip_cosine,
                'top1': measured.top1,
                **({'quality': [dataclasses.asdict(one) for one in lost]} if lost else {}),
            },
            'files': {
                path.relative_to(draft).as_posix(): {'bytes': size, 'sha256': storage.sha256(path)}
                for path, size in files.items()
            },
            'spec': net.spec.to_dict(),
            'net': dict(origin or {}),
            'written_by': f'soundnet_tf {__version__}',
            'written_at': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
            'versions': {'python': platform.python_version(), **_versions()},
        }
        storage.write_json(draft / 'model.json', facts)
        place(target)  # again, since the export took a while
    return Exported(sum(files.values()), plan.samples, measured, lost)


def _hint(clips: Sequence[CalibrationClip]) -> str:
    if quality.is_measurable(clips):
        return 'Use another precision'
    return (
        f'Use another precision, or {quality.MIN_CLIPS} or more clips (--calibration): the loss of '
        'quality on them is then checked, not the cosine'
    )


def _quality(
    net: 'SoundNet', plan: Plan, draft: pathlib.Path, clips: Sequence[CalibrationClip]
) -> list[quality.Quality]:
    """Raises ExportRefused if a user would lose more than allowed."""
    if not quality.is_measurable(clips):
        return []
    found = quality.measured(net, plan, draft, clips)
    wrong = [words for one in found for words in one.wrong()]
    if wrong:
        raise ExportRefused('; '.join(wrong))
    return found


def place(out: str | os.PathLike[str]) -> pathlib.Path:
    """The folder of an export. Raises SoundNetError if it contains anything else."""
    target = pathlib.Path(out)
    if target.exists():
        facts = saved.read_facts(target) if (target / 'model.json').is_file() else {}
        if 'export' not in facts:
            raise SoundNetError(f'{target}: exists and is not an export. Use another folder')
        parts = {'model.json', *facts['files']}
        for path in sorted(target.rglob('*')):
            name = path.relative_to(target).as_posix()
            if path.is_file() and name not in parts:
                raise SoundNetError(f'{target}: {name} is not part of the export and would be lost. Move it elsewhere')
    return target


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
