"""The model card of an imported net: the origin of its weights, and where its results hold."""

from collections.abc import Mapping
from typing import Any

from soundnet_tf import geometry
from soundnet_tf.nets import registry
from soundnet_tf.spec import NetSpec


def known(sha256: str) -> dict[str, Any]:
    """The facts about the weight file of this hash; empty for an unknown file."""
    return registry.KNOWN.get(sha256, {})


def text(spec: NetSpec, origin: Mapping[str, Any]) -> str:
    """The card in Markdown; `origin` is that of model.json."""
    lines = [f'# {origin.get("title", spec.name)}', '']
    words = {'authors': 'Authors', 'paper': 'Paper', 'licence': 'Licence', 'learned_from': 'Learned from'}
    words |= {'package': 'Source'}
    lines += [f'- {word}: {origin[key]}' for key, word in words.items() if key in origin]
    lines += [
        f'- File: {origin["file"]}, {origin["bytes"]:,} bytes, sha256 `{origin["sha256"]}`',
        f'- Converted by the importer of soundnet_tf from {origin["form"]}; every layer is within '
        f'{max(origin["differences"].values()):.1e} of its largest value of plain numpy with the same tensors',
        '',
        '## Input and outputs',
        '',
        'Mono sound at 22,050 Hz in [-1, 1], of any length.',
        '',
        '| output | values | one every | from clips of |',
        '|---|---|---|---|',
    ]
    for layer in dict.fromkeys((spec.feature_layer, spec.layer_names[-1], *spec.head_names)):
        hop, minimum = geometry.hop(spec, layer), geometry.min_samples(spec, layer)
        lines.append(
            f'| {layer} | {geometry.channels(spec, layer)} | {geometry.seconds(hop)} | {geometry.seconds(minimum)} |'
        )
    # An import of unknown origin is treated as the authors' nets are.
    trained = 'It was trained' if 'learned_from' in origin else "Like the authors' nets, it is assumed to be trained"
    lines += [
        '',
        f'{trained} on clips of 20 s only. The last steps of its deepest layer, which no head read in training, are '
        'left out (docs/edges.md).',
        '',
    ]
    if origin.get('measured'):
        lines += ['## Measured', '', *(f'- {what}: {value}' for what, value in origin['measured'].items()), '']
    if 'learned_from' in origin:
        lines += [
            '## Limits',
            '',
            'Its heads name what a picture would show, out of 1,000 objects and 401 scenes, with low probabilities '
            'spread over many classes. It was not trained on names of sounds. Use its layers as features, and its '
            'names as hints.',
            '',
        ]
    return '\n'.join(lines)
