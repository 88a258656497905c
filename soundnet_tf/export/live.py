"""A net as a web page that tags the microphone or a file in the browser itself, with LiteRT compiled to WebAssembly.

The folder has all that the page needs, so any server of static files will do, and nothing else is fetched.
`page/litert/README.md` says where LiteRT comes from.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from soundnet_tf import clips, labels, storage
from soundnet_tf.audio import SAMPLE_RATE, SILENCE_DBFS, decoding
from soundnet_tf.export import exporter
from soundnet_tf.nets import lookup, registry, saved
from soundnet_tf.spec import NetSpec

Path = str | os.PathLike[str]

HOP_S = 0.5
"""Seconds from one answer to the next."""

TITLES = {'imagenet': 'Objects', 'places': 'Scenes'}
"""What the original's heads are about; other heads go by their names."""


def place(model: Path | None = None) -> pathlib.Path:
    """The folder for the page of a net in the user's cache."""
    folder = lookup.find(model)
    saved.read_spec(folder)  # a name that nobody knows is reported as such
    return registry.home() / 'live' / f'{folder.name}-{saved.fingerprint(folder)[:8]}'


def is_current(model: Path | None, out: Path) -> bool:
    """Whether `out` has the page of this net, as this version of the package writes it."""
    target = pathlib.Path(out)
    if not (target / 'model.json').is_file():
        return False
    facts = saved.read_facts(target)
    files = {target / name: entry['sha256'] for name, entry in facts.get('files', {}).items()}
    return (
        facts.get('net') == saved.read_facts(lookup.find(model))
        and all(path.is_file() and storage.sha256(path) == digest for path, digest in files.items())
        and all(files.get(target / name) == hashlib.sha256(data).hexdigest() for name, data in _contents().items())
    )


def write(model: Path | None, out: Path) -> list[str]:
    """Write the page of a saved net, by its folder or name, as the folder `out`; returns what was measured, as text.

    The net is a TFLite file with float16 weights, compared with Keras before the folder appears. Raises ExportRefused
    if it is too far from it, SoundNetError if the net has no heads, or the folder something else in it.
    """
    folder = lookup.find(model)
    spec, facts = saved.read_spec(folder), saved.read_facts(folder)
    exporter.place(out)
    from soundnet_tf.export import lite  # not before a page is written: it loads scikit-learn

    net = saved.load_net(folder)
    tags = lite.plan(net, 'tags', 'float16', thresholds=facts.get('confidence_threshold'))

    def fill(draft: pathlib.Path) -> Mapping[str, Any] | None:
        for name, data in _contents().items():
            (draft / name).parent.mkdir(exist_ok=True)
            (draft / name).write_bytes(data)
        storage.write_json(draft / 'net.json', _description(facts, spec, net.labels, folder.name, tags.samples))
        return tags.write(draft)

    plan = dataclasses.replace(tags, write=fill, about={**tags.about, 'page': 'index.html'})
    sound = decoding.read(clips.path(clips.names()[0]))
    return exporter.carry_out(net, plan, out, sound, facts).lines()


def _description(
    facts: Mapping[str, Any], spec: NetSpec, names: Mapping[str, tuple[str, ...]], folder: str, samples: int | None
) -> dict[str, Any]:
    thresholds = facts.get('confidence_threshold', {})
    return {
        'name': facts.get('name', folder),
        'samples': samples,
        'sample_rate': SAMPLE_RATE,
        'hop': round(HOP_S * SAMPLE_RATE),
        'silence_dbfs': SILENCE_DBFS,
        'heads': [
            {
                'name': head,
                'title': TITLES.get(head, head),
                'labels': [labels.short(head, name) for name in names[head]],
                'threshold': thresholds.get(head),
            }
            for head in spec.head_names
        ],
    }


def _contents() -> dict[str, bytes]:
    """The files of the page that do not depend on the net."""
    found = {}
    with resources.as_file(resources.files('soundnet_tf.export').joinpath('page')) as page:
        for path in sorted(page.rglob('*')):
            if path.is_file():
                found[path.relative_to(page).as_posix()] = path.read_bytes()
    return found
