"""The paper's tables: the configuration of each row and the published numbers.

Sources of published numbers: E, the table of results in the ESC-50 data set's repository; U, remembered from the
paper's tables and not checked against its text.
"""

import dataclasses
from collections.abc import Mapping

ROLES = ('objects', 'scenes')
"""Roles of teachers: ImageNet's objects, Places' scenes."""

NETWORKS = ('vgg', 'alexnet')
STARTS = ('distilled', 'scratch', 'autoencoder', 'random', 'mfcc', 'multimodal', 'existing', 'published')
"""What a row's net is; `existing` ones are loaded, and of `published` rows there is the number alone."""

TRUST = {'E': "the ESC-50 repository's table of results", 'U': 'remembered from the paper, unchecked'}


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One line of a table.

    `published` is in percent, by data set (`esc50`, `esc10`, `dcase`, `videos`), with its source's letter.
    """

    name: str
    start: str
    net: str = 'soundnet8'
    layer: str | None = None
    """By default the net's feature layer."""
    loss: str = 'kl'
    roles: tuple[str, ...] = ROLES
    network: str = 'vgg'
    modalities: tuple[str, ...] = ()
    """Of a multimodal row: `sound`, `vision` or both."""
    weights: str = ''
    """Of an existing net: what `evaluation.embedders.make` accepts."""
    fingerprint: str = ''
    """Of an existing net: the embedder's."""
    published: Mapping[str, tuple[float, str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the paper; `measure` is accuracy, or mAP: average precision, averaged over classes."""

    name: str
    about: str
    rows: tuple[TableRow, ...]
    data: tuple[str, ...] = ('esc50', 'esc10')
    """The paper's data sets in this table."""
    measure: str = 'accuracy'


def _layers(network: str, published: bool) -> tuple[TableRow, ...]:
    dcase = {'conv4': 77, 'conv5': 88, 'pool5': 88, 'conv6': 87, 'conv7': 84, 'conv8': 74}
    esc50 = {'conv4': 66.0, 'conv5': 69.3, 'pool5': 72.9, 'conv6': 73.3, 'conv7': 59.8, 'conv8': 43.7}
    return tuple(
        TableRow(
            f'{layer}, {network} teachers',
            'distilled',
            layer=layer,
            network=network,
            published={'dcase': (dcase[layer], 'U'), 'esc50': (esc50[layer], 'U')} if published else {},
        )
        for layer in dcase
    )


TABLES = (
    Table(
        'scenes',
        'acoustic scenes',
        (
            TableRow('best before SoundNet', 'published', published={'dcase': (78, 'U')}),
            TableRow('SoundNet8', 'distilled', published={'dcase': (88, 'U')}),
        ),
        data=('dcase',),
    ),
    Table(
        'sounds',
        'environmental sounds: transferred, from scratch, autoencoder, and without learning',
        (
            TableRow('SoundNet8', 'distilled', published={'esc50': (74.2, 'E'), 'esc10': (92.2, 'U')}),
            TableRow('SoundNet5', 'distilled', 'soundnet5', published={'esc50': (66.1, 'E'), 'esc10': (86.8, 'U')}),
            TableRow('SoundNet8 from scratch', 'scratch', published={'esc50': (51.1, 'E'), 'esc10': (75.5, 'U')}),
            TableRow(
                'SoundNet5 from scratch', 'scratch', 'soundnet5', published={'esc50': (65.0, 'E'), 'esc10': (82.3, 'U')}
            ),
            TableRow(
                'convolutional autoencoder', 'autoencoder', published={'esc50': (39.9, 'E'), 'esc10': (74.3, 'U')}
            ),
            TableRow('SoundNet8, random weights', 'random'),
            TableRow('SoundNet5, random weights', 'random', 'soundnet5'),
            TableRow('MFCC', 'mfcc'),
            TableRow('human', 'published', published={'esc50': (81.3, 'E'), 'esc10': (95.7, 'U')}),
        ),
    ),
    Table(
        'loss',
        'the loss between teachers and student',
        (
            TableRow('l2', 'distilled', loss='l2', published={'esc50': (47.8, 'U'), 'esc10': (81.5, 'U')}),
            TableRow('KL', 'distilled', published={'esc50': (72.9, 'U'), 'esc10': (92.2, 'U')}),
        ),
    ),
    Table(
        'teachers',
        'teachers and their network',
        (
            TableRow(
                'objects alone', 'distilled', roles=('objects',), published={'esc50': (69.5, 'U'), 'esc10': (89.8, 'U')}
            ),
            TableRow(
                'scenes alone', 'distilled', roles=('scenes',), published={'esc50': (71.1, 'U'), 'esc10': (89.5, 'U')}
            ),
            TableRow('both', 'distilled', published={'esc50': (72.9, 'U'), 'esc10': (92.2, 'U')}),
            TableRow('both, AlexNet', 'distilled', network='alexnet'),
        ),
    ),
    Table(
        'layers',
        "which layer, by the teachers' network",
        (*_layers('vgg', True), *_layers('alexnet', False)),
        data=('dcase', 'esc50', 'esc10'),
    ),
    Table(
        'multimodal',
        'sound, vision and both of videos with labels',
        (
            TableRow('sound', 'multimodal', modalities=('sound',), published={'videos': (32.4, 'U')}),
            TableRow('vision', 'multimodal', modalities=('vision',), published={'videos': (49.4, 'U')}),
            TableRow(
                'sound and vision', 'multimodal', modalities=('sound', 'vision'), published={'videos': (51.4, 'U')}
            ),
        ),
        data=('videos',),
        measure='mAP',
    ),
)
