"""The weights that training begins with, if it does not begin with random ones: those of a saved net."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import lookup, model, saved
from soundnet_tf.spec import Conv, NetSpec


@dataclasses.dataclass(frozen=True)
class Start:
    """A saved net to continue from."""

    folder: pathlib.Path

    @classmethod
    def find(cls, name_or_path: saved.Path) -> 'Start':
        """By its folder or name. Raises SoundNetError if it is not a saved net."""
        start = cls(lookup.find(name_or_path))
        saved.read_spec(start.folder)
        return start

    def spec(self) -> NetSpec:
        """The net as training sees it: all time steps of a clip, edges included."""
        return saved.read_spec(self.folder).with_edges()

    def load(self, net: keras.Model, heads: Sequence[str] | None = None) -> str:
        """Set the layers of `net`, and of `heads`, by default all, those that the saved net has in the same size.

        Says which these are. Raises SoundNetError if no layer fits.
        """
        own, spec = self.spec(), model.spec_of(net).with_edges()
        sizes, needed = saved.shapes(own), saved.shapes(spec)
        fit = {key for key, size in needed.items() if size == sizes.get(key)}
        named = [row.name for row in spec.heads if heads is None or row.name in heads]
        rows = [row.name for row in spec.rows if isinstance(row, Conv)] + named
        kept = [name for name in rows if {key for key in needed if key.startswith(f'{name}/')} <= fit]
        if not set(kept) - set(named):
            raise SoundNetError(f'{self.folder}: no layer of it fits {spec.name}. Use one of more similar layers')
        tensors = saved.Tensors(self.folder, saved.read_spec(self.folder))
        for key, variable in model.variables_of(net).items():
            if key.split('/')[0] in kept:
                variable.assign(tensors[key])
        new = [name for name in rows if name not in kept]
        return f'begins with {self.folder}; kept: {", ".join(kept)}; new: {", ".join(new) or "none"}'

    def facts(self) -> dict[str, Any]:
        """What the trained net states of it; clips that it was trained on must not test the new net either."""
        before: Mapping[str, Any] = saved.read_facts(self.folder).get('origin', {})
        return {'started_from': str(self.folder), 'start_sha256': saved.fingerprint(self.folder), 'before': before}


def read_spec(path: saved.Path) -> NetSpec:
    """An architecture from a JSON file, such as the spec.json of a saved net. Raises SoundNetError if it is none."""
    hint = 'Use a file like the spec.json of a saved net'
    with storage.readable(path, hint):
        return NetSpec.from_dict(storage.read_json(path, hint))
