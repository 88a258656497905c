"""What a net with one head says of sounds: its logits, up to a constant per sound, whatever engine runs it."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import inference
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import tflite
from soundnet_tf.inference import files, listening, tags
from soundnet_tf.nets import saved
from soundnet_tf.shipping import probes

Logits = NDArray[np.float64]

HALF, OOD = 'float16', 'ood'
"""Kinds of outputs of a row: with float16 weights, and for out-of-distribution sounds."""

AT_SPEEDS = 'at speeds'
"""The kind that is the mean over several speeds; all others are of one pass."""


def of_waveforms(embedder: inference.Embedder, waveforms: Sequence[Waveform]) -> Logits:
    """`[sounds, classes]`: for whole clips, whose softmax soundnet-tag prints."""
    (head,) = embedder.spec.heads
    tagger, found = embedder.tagger, []
    named = ((f'clip {number}', waveform) for number, waveform in enumerate(waveforms))
    sounds = ((name, tagger.open_samples(waveform, SAMPLE_RATE, [head.name], name)) for name, waveform in named)
    for outputs in listening.listen_opened(tagger, sounds, [head.name]):
        if isinstance(outputs, Exception):
            raise outputs
        found.append(tags.clip_probabilities(head, outputs[head.name].values))
    return _logits(found)


def of_files(embedder: inference.Embedder, paths: Sequence[str]) -> tuple[Logits, files.Tally]:
    """`[sounds, classes]`: for whole files, in their order; unusable ones are left out, reported and counted."""
    (head,) = embedder.spec.heads
    tally, found = files.Tally(), []

    def done(file: files.SoundFile, outputs: Any) -> None:
        if outputs is not None:
            found.append(tags.clip_probabilities(head, outputs[head.name].values))

    listed = files.find(paths)
    files.listen(embedder.tagger, listed, [head.name], done, tally, len(listed))
    if not found:
        raise SoundNetError(f'--ood_sounds: none of the {len(listed)} files can be used. Pass other files')
    return _logits(np.reshape(found, [len(found), head.classes])), tally


def of_row(
    net: saved.Path,
    clips: Sequence[Waveform],
    ood_sounds: Sequence[str],
    corrupt: bool,
    speeds: Sequence[float] = (),
) -> dict[str, Logits]:
    """By kind: HALF for the held-out `clips`; OOD; with `speeds` AT_SPEEDS for the clips, the mean over these; and with
    `corrupt` each of `probes.CORRUPTIONS` of the clips.
    """
    embedder = inference.load(net, short='tile')
    found = {OOD: of_files(embedder, ood_sounds)[0]} if ood_sounds else {}
    if speeds:
        found[AT_SPEEDS] = of_waveforms(inference.load(net, short='tile', speeds=speeds), clips)
    if corrupt:
        for kind, alter in probes.CORRUPTIONS.items():
            found[kind] = of_waveforms(embedder, [alter(clip) for clip in clips])
    with tempfile.TemporaryDirectory() as temporary:
        folder = saved.save_net(saved.load_net(net), pathlib.Path(temporary) / 'net', dtype='float16')
        tflite.add_tflite(folder, 'float16')
        return found | {HALF: of_waveforms(inference.load(folder, short='tile'), clips)}


def _logits(probabilities: Any) -> Logits:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), np.finfo(np.float32).tiny))
