"""Give a saved net a name: copy it to where `lookup` finds nets by their names."""

import os
import pathlib
import shutil

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry, saved


def add(name: str, folder: str | os.PathLike[str]) -> pathlib.Path:
    """Copy the files of a saved net to the folder of the nets with names; returns that net's place there.

    It replaces a net that was added before. Raises SoundNetError for an invalid name or one that is taken, if there is
    no saved net, or one whose weights have another hash than it states.
    """
    place, source = registry.place(name), pathlib.Path(folder)
    if name in registry.listed() or name in registry.PUBLISHED or name in registry.PACKAGED:
        raise SoundNetError(f'{name}: this name is taken. Use another name')
    if not registry.is_net(source):
        raise SoundNetError(f'{source}: no spec.json, so it is not a saved net. Pass a folder such as runs/first/net')
    if source.resolve() == place.resolve():
        return place
    if place.exists() and (others := [path for path in registry.files_of(place) if not _is_added(path)]):
        raise SoundNetError(f'{place}: has {others[0]}, which would be lost. Use another name, or move it')
    saved.content(source / saved.WEIGHTS)
    with storage.readable(source, 'Check the folder'), storage.whole_folder(place) as draft:
        for path in filter(_is_added, registry.files_of(source)):
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, draft / path)
    return place


def _is_added(path: str) -> bool:
    return registry.is_part(path) or path in ('MODEL_CARD.md', 'ATTRIBUTION.txt')
