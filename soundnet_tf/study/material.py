"""The material of a study: nets that exist, records for training, labelled sounds, and labelled videos."""

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets, embedders
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.splits import checked_folds
from soundnet_tf.experiments.tables import NETWORKS, ROLES

SETS = ('esc50', 'esc10', 'dcase')
"""The paper's."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A labelled data set, and the paper's data set that it stands for, which gives protocol and published numbers."""

    path: str
    stands_for: str
    esc10: bool = False
    """Use only the ten ESC-10 classes of ESC-50."""
    test_folds: tuple[int, ...] | None = None
    """All by default."""
    folds: int | None = None
    """Assign random folds, recordings whole: for data without folds."""

    def __post_init__(self) -> None:
        if self.stands_for not in SETS:
            raise SoundNetError(f'{self.path}: stands_for must be {", ".join(SETS)}, got {self.stands_for!r}')

    def load(self, name: str) -> DataSet:
        """The clips. Raises SoundNetError or BadAudio if they are missing."""
        dataset = datasets.load(self.path, name=name, esc10=self.esc10)
        return dataset if self.folds is None else datasets.assign_folds(dataset, self.folds)

    def checked(self, name: str, strict: bool = False) -> DataSet:
        """The clips, whose folds can be held out. Raises SoundNetError as `splits.checked_folds` does."""
        dataset = self.load(name)
        checked_folds(dataset, self.test_folds, strict)
        return dataset


@dataclasses.dataclass(frozen=True)
class Material:
    """All data of a study. Rows whose material is missing are reported as not run."""

    name: str
    """The title of the tables: it says what data the numbers are for."""
    data: Mapping[str, Labelled]
    records: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The folder of records by the teachers' network, `vgg` or `alexnet`."""
    teachers: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """By network: the heads of its records in the roles `objects` and `scenes`."""
    videos: str | None = None
    """A CSV of videos with labels and folds."""
    vision_model: str | None = None
    """A Keras file of a vision network for the multimodal rows."""
    vision_layer: str | None = None
    """Its layer to use; by default the last but one."""
    vision_scale: str = '0..255'
    """The pixel scale of its inputs, as in `--teacher`: `0..255`, `0..1`, `-1..1` or `caffe`."""
    published: bool = True
    """Whether to show the paper's numbers; they do not apply to synthetic data."""
    nets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Nets that exist, by the name of their rows: what `evaluation.embedders.make` accepts."""

    def head(self, network: str, role: str) -> str | None:
        """The head of the records with the role `objects` or `scenes`; None if there is none."""
        if role not in ROLES:
            raise SoundNetError(f'role must be {" or ".join(ROLES)}, got {role!r}')
        return self.teachers.get(network, {}).get(role)


def _check(material: Material) -> None:
    """Raise ValueError for invalid settings."""
    for name, own in material.data.items():
        if not re.fullmatch(r'\w[\w.-]*', name) or name == 'videos':
            raise ValueError(f'{name!r}: invalid name for a data set')
        if own.test_folds is not None and not all(type(fold) is int for fold in own.test_folds):
            raise ValueError(f'test_folds of {name} must be whole numbers, got {list(own.test_folds)}')
    for what, given, allowed in (
        ('records', material.records, NETWORKS),
        ('teachers', material.teachers, NETWORKS),
        *((f'teachers of {network}', heads, ROLES) for network, heads in material.teachers.items()),
    ):
        if not isinstance(given, Mapping):
            raise ValueError(f'{what} must be a mapping, such as {{"{allowed[0]}": ...}}')
        unknown = sorted(set(given) - set(allowed))
        if unknown:
            raise ValueError(f'{what}: unexpected key {unknown[0]!r}. Use {" or ".join(allowed)}')
    if not isinstance(material.nets, Mapping) or not all(isinstance(net, str) for net in material.nets.values()):
        raise ValueError('nets must be a mapping of names to nets, such as {"soundnet8": "soundnet8"}')
    for name in material.nets:
        if not name.strip() or not name.isprintable() or '|' in name:
            raise ValueError(f'{name!r}: invalid name for a net. Use printable characters without |')
    from soundnet_tf.teachers.networks import SCALES  # loads TensorFlow, not needed for the checks above

    if material.vision_scale not in SCALES:
        raise ValueError(f'vision_scale must be one of {", ".join(SCALES)}, got {material.vision_scale!r}')


def _require_both(material: Material, path: pathlib.Path) -> None:
    """Raise SoundNetError for a material without nets, or without anything to evaluate them on."""
    if not material.nets and not material.records:
        raise SoundNetError(
            f'{path}: nothing to measure: neither nets nor records. Add "nets": {{"soundnet8": "soundnet8"}} for the '
            'published weights, or records and teachers to train nets'
        )
    if not material.data and not material.videos:
        raise SoundNetError(f'{path}: nothing to measure on: neither data nor videos. Add a labelled data set')


def _check_keys(path: pathlib.Path, where: str, values: Mapping[str, Any], kind: type, needed: Sequence[str]) -> None:
    """Raise SoundNetError unless the keys are names of the fields of `kind`, with those that are `needed`."""
    names = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(set(values) - set(names)):
        raise SoundNetError(f'{path}: {where}unexpected key {unknown[0]!r}. Use some of {", ".join(names)}')
    if missing := [key for key in needed if key not in values]:
        raise SoundNetError(f'{path}: {where}no key {missing[0]!r}. Add it, see docs/reproduce.md')


def _labelled(path: pathlib.Path, name: str, values: Mapping[str, Any]) -> Labelled:
    _check_keys(path, f'data: {name}: ', values, Labelled, ('path', 'stands_for'))
    with naming(f'{path}: data: {name}'):
        folds = values.get('test_folds')
        return Labelled(**{**values, 'test_folds': tuple(folds) if folds else None})


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Name where in a material a mistake is: its file and key."""
    try:
        yield
    except SoundNetError as error:
        raise SoundNetError(f'{where}: {error}') from None


def write(material: Material, path: pathlib.Path) -> None:
    """As a JSON file; `read` gives it back."""
    storage.write_json(path, dataclasses.asdict(material))


def read(path: pathlib.Path) -> Material:
    """The material that a JSON file describes; relative paths are below its folder. Raises SoundNetError."""
    with storage.readable(path, 'See docs/reproduce.md'):
        values: dict[str, Any] = storage.read_json(path, 'See docs/reproduce.md')
        _check_keys(path, '', values, Material, ('name',))
        data = {name: _labelled(path, name, own) for name, own in values.pop('data', {}).items()}
        material = Material(data=data, **values)
        _check(material)
    _require_both(material, path)

    # Absolute, so that a study can be resumed from any folder.
    def below(name: str) -> str:
        return str((path.parent / name).resolve())

    def found(net: str) -> str:
        """A path as `below`; names and addresses as they are."""
        where, _ = embedders.split(net)
        is_path = (path.parent / where).exists() or ('/' in where and '://' not in where)
        return below(where) + net.removeprefix(where) if is_path else net

    return dataclasses.replace(
        material,
        data={name: dataclasses.replace(own, path=below(own.path)) for name, own in data.items()},
        records={network: below(folder) for network, folder in material.records.items()},
        videos=below(material.videos) if material.videos else None,
        vision_model=below(material.vision_model) if material.vision_model else None,
        nets={name: found(net) for name, net in material.nets.items()},
    )
