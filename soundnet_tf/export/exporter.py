"""An export from beginning to end: written, checked, described, and only then put in its place."""

import dataclasses
import datetime
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from soundnet_tf import storage
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import ExportRefused, SoundNetError
from soundnet_tf.export import quality, truth
from soundnet_tf.export.representative import Clip
from soundnet_tf.export.verify import Measured, Plan, check
from soundnet_tf.nets import saved
from soundnet_tf.version import __version__

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet

PACKAGES = ('tensorflow', 'keras', 'numpy', 'ai-edge-litert', 'flatbuffers', 'onnx', 'onnxruntime')


QUANTISED = ('dynamic', 'int8')
"""Precisions whose features may be worth less."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export that was kept: its size, how far it is from Keras, and what its users lose, where that was measured."""

    bytes: int
    measured: Measured
    quality: list[quality.Quality]
    """Of a quantised export, where there are enough clips."""
    on_clips: float | None
    """The least cosine of int8 to float32 on clips that it was not set by."""

    def lines(self) -> list[str]:
        """For people."""
        lines = [f'{self.bytes / 1e6:.2f} MB', str(self.measured)]
        if self.on_clips is not None:
            lines.append(f'least cosine to float32 on your clips, as they are and at -40 dBFS, {self.on_clips:.5f}')
        return lines + [str(one) for one in self.quality]


def carry_out(
    net: 'SoundNet',
    plan: Plan,
    out: str | os.PathLike[str],
    clip: Waveform | None = None,
    origin: Mapping[str, Any] | None = None,
    clips: Sequence[Clip] = (),
) -> Exported:
    """Make the folder `out`: the export and its model.json.

    `clip` is a real sound to compare by, `origin` the model.json of the saved net, and `clips` judge a quantised
    export. An older export there is replaced whole. Raises ExportRefused, and leaves `out` as it
    was, where the export is past its tolerance; SoundNetError where `out` holds something else.
    """
    truth.every_output(net.spec)
    target, quantised = place(out), plan.about.get('precision') in QUANTISED
    with storage.whole_folder(target) as draft:
        about = {**plan.about, **(plan.write(draft) or {})}
        try:
            measured = check(net, plan, draft, clip)
            lost = _quality(net, plan, draft, clips) if quantised else []
        except ExportRefused as error:
            way_out = f'. {_way_out(clips)}' if quantised else ''
            raise ExportRefused(f'{target} was not kept: {error}{way_out}') from None
        files = {path: path.stat().st_size for path in sorted(draft.rglob('*')) if path.is_file()}
        facts = {
            'export': plan.form,
            'outputs': plan.outputs,
            'samples': plan.samples,
            **about,
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
        place(target)  # once more: all this took its time
    return Exported(sum(files.values()), measured, lost, about.get('cosine_on_your_clips'))


def _way_out(clips: Sequence[Clip]) -> str:
    if quality.is_measurable(clips):
        return 'Use another precision, or for int8 more clips (--calibration)'
    return (
        f'Use another precision, or {quality.MIN_CLIPS} or more clips (--calibration): without them its cosine '
        'decides, with them what users lose'
    )


def _quality(net: 'SoundNet', plan: Plan, draft: pathlib.Path, clips: Sequence[Clip]) -> list[quality.Quality]:
    """Raises ExportRefused where a user would lose more than is allowed."""
    if not quality.is_measurable(clips):
        return []
    found = quality.measured(net, plan, draft, clips)
    wrong = [words for one in found for words in one.wrong()]
    if wrong:
        raise ExportRefused('; '.join(wrong))
    return found


def place(out: str | os.PathLike[str]) -> pathlib.Path:
    """Where an export is to stand. Raises SoundNetError where something else does."""
    target = pathlib.Path(out)
    if target.exists():
        facts = saved.read_facts(target) if (target / 'model.json').is_file() else {}
        if 'export' not in facts:
            raise SoundNetError(f'{target} exists and is not an export: choose another folder')
        parts = {'model.json', *facts['files']}
        for path in sorted(target.rglob('*')):
            name = path.relative_to(target).as_posix()
            if path.is_file() and name not in parts:
                raise SoundNetError(f'{target} holds {name} beside the export, which would be lost: move it elsewhere')
    return target


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
