"""An HDF5 file of posteriors: one dataset `[frames, classes]` per video, with groups for the folders of ids."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.storage import reason
from soundnet_tf.teachers.store import Rows, names

T = TypeVar('T')

DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError)
"""What h5py raises for damaged files."""


@dataclasses.dataclass(frozen=True)
class Hdf5:
    """An open file; only the requested rows are read."""

    file: Any
    path: pathlib.Path

    def find(self, id: str) -> Rows | str:
        tried = names(id)
        for name in tried:
            try:
                found = _hard(self.file, name, _h5py(self.path))
            except DAMAGE as error:
                return f'{self.path}: {name} cannot be read ({reason(error)})'
            if found is not None:
                return self._rows(name, found)
        return f'{self.path}: no dataset {" or ".join(tried)}'

    def first(self, glance: Callable[[Rows | str], T | None]) -> T | None:
        """The first result of `glance` that is not None."""

        def visit(name: str, item: Any) -> T | None:
            rows = self._rows(name, item)
            return None if isinstance(rows, str) else glance(rows)

        try:
            return self.file.visititems(visit)
        except DAMAGE as error:
            return glance(f'{self.path}: cannot be read ({reason(error)})')

    def _rows(self, name: str, item: Any) -> Rows | str:
        place = f'{self.path}: {name}'
        if not hasattr(item, 'shape'):
            return f'{place} is a group, not [frames, classes] of numbers'
        if item.is_virtual or item.external:
            return f'{place} has its values in other files. Copy them into this one'
        return Rows(item, place)


def _hard(group: Any, name: str, h5py: Any) -> Any:
    """What the group has at this path; None if there is nothing. Raises ValueError for a link: it may lead to another
    file, and h5py would open that."""
    for part in filter(None, name.split('/')):
        own = part.encode(errors='surrogateescape')
        if not isinstance(group, h5py.Group) or not group.id.links.exists(own):
            return None
        if group.id.links.get_info(own).type != h5py.h5l.TYPE_HARD:
            raise ValueError('a link, possibly to another file. Copy its target into this file')
        group = group[part]
    return group


def is_one(path: pathlib.Path) -> bool:
    """Whether a file's suffix is that of HDF5."""
    return path.suffix.lower() in ('.h5', '.hdf5')


def is_network(path: pathlib.Path) -> bool:
    """Whether the file holds a whole Keras model, in the format before .keras."""
    try:
        with _h5py(path).File(path, 'r') as file:
            return 'model_config' in file.attrs
    except DAMAGE:
        return False  # reported when it is loaded


def load(teacher: str, path: pathlib.Path) -> Hdf5:
    """Open the file. Raises SoundNetError if it is not HDF5, or holds the weights of a network."""
    try:
        file = _h5py(path).File(path, 'r')
        weights = 'layer_names' in file.attrs or ('layers' in file and 'vars' in file)
    except DAMAGE as error:
        raise SoundNetError(
            f'teacher {teacher}: {path} cannot be read as HDF5 ({reason(error)}). Write or copy it again'
        ) from None
    if weights:
        raise SoundNetError(
            f'teacher {teacher}: {path} holds weights of a network, not posteriors. Save the whole network, '
            f'or use {teacher}=keras:NETWORK,weights={path}'
        )
    return Hdf5(file, path)


def _h5py(path: pathlib.Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingTool('h5py', f'reading {path}') from None
    return h5py
