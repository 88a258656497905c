"""An export from beginning to end: written, checked, described, and only then put in its place."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from soundnet_tf import saved
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import ExportRefused, SoundNetError
from soundnet_tf.export import classifier
from soundnet_tf.export.calibration import Clip
from soundnet_tf.export.verify import Measured, Plan, check
from soundnet_tf.version import __version__

if TYPE_CHECKING:
    from soundnet_tf.model import SoundNet

PACKAGES = ('tensorflow', 'keras', 'numpy', 'ai-edge-litert', 'flatbuffers', 'onnx', 'onnxruntime')


QUANTISED = ('dynamic', 'int8')
"""Precisions whose features may be worth less."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export that was kept: its size, how far it is from Keras, and what its features lost, where that was asked."""

    bytes: int
    measured: Measured
    fall: classifier.Fall | None

    def lines(self) -> list[str]:
        """For people."""
        fall = [str(self.fall)] if self.fall else []
        return [f'{self.bytes / 1e6:.2f} MB', str(self.measured), *fall]


def carry_out(
    net: 'SoundNet',
    plan: Plan,
    out: str | os.PathLike[str],
    clip: Waveform | None = None,
    origin: Mapping[str, Any] | None = None,
    clips: Sequence[Clip] = (),
) -> Exported:
    """Make the folder `out`: the export and its model.json.

    `clip` is a real sound to compare by, `origin` the model.json of the saved net, and `clips` try what a quantised
    export's features are worth. An older export there is replaced whole. Raises ExportRefused, and leaves `out` as it
    was, where the export is past its tolerance; SoundNetError where `out` holds something else.
    """
    target = place(out)
    with saved.whole_folder(target) as draft:
        plan.write(draft)
        try:
            measured = check(net, plan, draft, clip)
        except ExportRefused as error:
            raise ExportRefused(f'{target} was not kept: {error}') from None
        quantised = plan.about.get('precision') in QUANTISED
        fall = classifier.fall(net, plan, draft, clips) if quantised else None
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
                **({'classifier': dataclasses.asdict(fall)} if fall else {}),
            },
            'files': {
                path.relative_to(draft).as_posix(): {'bytes': size, 'sha256': _sha256(path)}
                for path, size in files.items()
            },
            'spec': net.spec.to_dict(),
            'net': dict(origin or {}),
            'written_by': f'soundnet_tf {__version__}',
            'written_at': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
            'versions': {'python': platform.python_version(), **_versions()},
        }
        saved.write_json(draft / 'model.json', facts)
    return Exported(sum(files.values()), measured, fall)


def place(out: str | os.PathLike[str]) -> pathlib.Path:
    """Where an export is to stand. Raises SoundNetError where something else does."""
    target = pathlib.Path(out)
    if target.exists():
        try:
            is_export = 'export' in saved.read_facts(target)
        except (OSError, ValueError):
            is_export = False
        if not is_export:
            raise SoundNetError(f'{target} exists and is not an export: choose another folder')
    return target


def _sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
