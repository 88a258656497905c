"""What a study is made of: records to learn from, labelled sounds to be judged by, and videos with labels."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.experiments.tables import NETWORKS, ROLES

SETS = ('esc50', 'esc10', 'dcase')
"""The paper's."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A labelled data set, and by which of the paper's sets it is read: its protocol and its published numbers."""

    path: str
    stands_for: str
    esc10: bool = False
    """Take of ESC-50 the ten classes of ESC-10."""
    test_folds: tuple[int, ...] | None = None
    """All, where none are named."""
    folds: int | None = None
    """Deal the clips into so many, recordings whole: for data that comes without folds."""

    def __post_init__(self) -> None:
        if self.stands_for not in SETS:
            raise SoundNetError(f'{self.path} stands for {", ".join(SETS)}, not {self.stands_for!r}')

    def load(self, name: str) -> DataSet:
        """The clips. Raises SoundNetError or BadAudio where they are not there."""
        dataset = datasets.load(self.path, name=name, esc10=self.esc10)
        return dataset if self.folds is None else datasets.assign_folds(dataset, self.folds)


@dataclasses.dataclass(frozen=True)
class Material:
    """By name what there is; a table's row whose material is missing is left out, and the table says so."""

    name: str
    """Heads every table: a reader must see at once what world the numbers are of."""
    data: Mapping[str, Labelled]
    records: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The folder of records by the teachers' network, `vgg` or `alexnet`."""
    teachers: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    """By network: which head of its records plays `objects`, which `scenes`."""
    videos: str | None = None
    """A CSV of videos with labels and folds."""
    eye: str | None = None
    """The vision network whose penultimate layer stands beside the sound's; a Keras file."""
    eye_layer: str | None = None
    """That layer's name."""
    eye_scale: str = '0..255'
    """What the network takes, as in `--teacher`: `0..255`, `0..1`, `-1..1` or `caffe`."""
    published: bool = True
    """Whether the paper's numbers are told beside ours: they say nothing about another world."""

    def head(self, network: str, role: str) -> str | None:
        """The head of the records that plays `objects` or `scenes`; None where there is none."""
        if role not in ROLES:
            raise SoundNetError(f'a teacher plays {" or ".join(ROLES)}, not {role!r}')
        return self.teachers.get(network, {}).get(role)


def _check(material: Material) -> None:
    """Raise ValueError for what no study can use."""
    for name, own in material.data.items():
        if not re.fullmatch(r'\w[\w.-]*', name) or name == 'videos':
            raise ValueError(f'{name!r} cannot name a data set')
        if own.test_folds is not None and not all(type(fold) is int for fold in own.test_folds):
            raise ValueError(f'test_folds of {name} are whole numbers, not {list(own.test_folds)}')
    for what, given, known in (
        ('records', material.records, NETWORKS),
        ('teachers', material.teachers, NETWORKS),
        *((f'teachers of {network}', heads, ROLES) for network, heads in material.teachers.items()),
    ):
        if not isinstance(given, Mapping):
            raise ValueError(f'{what} are given by name, as {{"{known[0]}": ...}}')
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f'{what} are given for {" or ".join(known)}, not {unknown[0]!r}')
    from soundnet_tf.teachers.networks import SCALES  # loads TensorFlow, which the mistakes above need not wait for

    if material.eye_scale not in SCALES:
        raise ValueError(f'eye_scale is one of {", ".join(SCALES)}, not {material.eye_scale!r}')


def write(material: Material, path: pathlib.Path) -> None:
    """As a JSON file; `read` gives it back."""
    storage.write_json(path, dataclasses.asdict(material))


def read(path: pathlib.Path) -> Material:
    """The material that a JSON file describes; relative paths are below its folder. Raises SoundNetError."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        data = {
            name: Labelled(**{**own, 'test_folds': tuple(own['test_folds']) if own.get('test_folds') else None})
            for name, own in told.pop('data').items()
        }
        material = Material(data=data, **told)
        _check(material)
    except OSError as error:
        raise SoundNetError(f'{path}: the material cannot be read ({error.strerror})') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SoundNetError(f'{path} describes no material ({error}): see docs/reproduce.md') from error

    # Absolute, so that a study goes on wherever it is called from.
    def below(name: str) -> str:
        return str((path.parent / name).resolve())

    return dataclasses.replace(
        material,
        data={name: dataclasses.replace(own, path=below(own.path)) for name, own in data.items()},
        records={network: below(folder) for network, folder in material.records.items()},
        videos=below(material.videos) if material.videos else None,
        eye=below(material.eye) if material.eye else None,
    )
