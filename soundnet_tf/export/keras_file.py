"""A net as one `.keras` file; import `soundnet_tf.nets.model`, which has its class, before loading it."""

import pathlib
from typing import TYPE_CHECKING

from soundnet_tf.export.verify import CLOSE, FILES, Plan

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet


def plan(net: 'SoundNet') -> Plan:
    """The export of a net as `model.keras`: its heads, or its last layer if it has none."""
    outputs = net.spec.head_names or net.spec.layer_names[-1:]

    def write(folder: pathlib.Path) -> None:
        net.save(folder / FILES['keras'])

    return Plan('keras', outputs, write, CLOSE)
