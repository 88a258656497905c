"""Convert a weight file to a saved net: detect its form, map names, check, compare with plain numpy, write."""

import dataclasses
import hashlib
import os
import pathlib
import shutil
from typing import Any

import numpy as np

from soundnet_tf import geometry, storage
from soundnet_tf.audio import Waveform
from soundnet_tf.config import NETS
from soundnet_tf.errors import SoundNetError, WeightsMismatch
from soundnet_tf.importing import card, forms, names, plain, published, recognise
from soundnet_tf.nets import registry, saved
from soundnet_tf.spec import SAMPLE_RATE, NetSpec
from soundnet_tf.web import fetch as web_fetch

TOLERANCE = 1e-4
"""Relative to a layer's largest value; the difference between float32 and float64 is far smaller."""
MAX_REPORTED = 60
"""Mismatches: with more it is another net, or a file made to fill the screen."""
SWEEP_S = 20.0
"""Length of the test clip: that of the training clips."""
TRAINED_SAMPLES = round(20 * SAMPLE_RATE)
"""Length of all clips that the authors trained on. Source: their training code."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """An imported net and its origin; `str` prints the values of the table in docs/import.md."""

    folder: pathlib.Path
    spec: NetSpec
    origin: dict[str, Any]
    """As in model.json."""
    name: str | None = None
    """The name that it is registered under."""

    def __str__(self) -> str:
        origin = self.origin
        layer, difference = max(origin['differences'].items(), key=lambda item: item[1])
        scenes = ', '.join(f'{name} {probability:.1%}' for name, probability in origin['sweep_scenes'])
        return '\n'.join(
            [
                f'{origin["file"]}: {origin["form"]}, {origin["bytes"]:,} bytes, sha256 {origin["sha256"]}',
                f'conv1 weights: {origin["conv1"]["min"]:.6f} to {origin["conv1"]["max"]:.6f}',
                f'scenes of the sweep: {scenes}',
                f'largest difference from plain numpy: {difference:.1e} of the largest value, in {layer}',
                f'{self.folder}: {self.spec.name}, {len(origin["tensors"])} tensors',
                *([f'{self.name}: registered in {registry.place(self.name)}'] if self.name else []),
            ]
        )


def import_weights(
    source: str | os.PathLike[str], target: str | os.PathLike[str], register: str | None = None
) -> Imported:
    """Write the net of a weight file as a saved net in the folder `target`; an older import there is replaced.

    Args:
      source: a Torch7 .t7, a numpy .npy such as sound8.npy, a PyTorch .pth of a state dict, or the name of published
        weights, `soundnet8` or `soundnet5`, which are downloaded.
      register: a name for the net in `soundnet_tf.load` and `weights=`.

    No code in the file is run. Raises SoundNetError if it cannot be read or is refused, WeightsMismatch, listing all
    missing, unexpected and misshapen tensors, if it is not a SoundNet; then nothing is written.
    """
    if pathlib.Path(source).exists() and pathlib.Path(source).resolve().is_relative_to(pathlib.Path(target).resolve()):
        raise SoundNetError(f'{source}: inside {target}, which would be replaced. Use another TARGET')
    targets = [pathlib.Path(target), *([] if register is None else [registry.place(register)])]
    for folder in targets:  # before the slow part
        _check(folder)
    with published.local(source) as path:
        if path.stat().st_size > web_fetch.LIMITS.max_bytes:
            raise SoundNetError(
                f'{path}: {path.stat().st_size:,} bytes, far more than any SoundNet weights. Check the path'
            )
        with storage.opened(path) as file:
            data = file.read()
    name = os.fspath(source) if path != pathlib.Path(source) else None
    try:
        loaded = recognise.read(path, data)
    except SoundNetError as error:
        raise error if name is None else SoundNetError(f'{error}. Delete {path} first') from None
    fit = names.best_fit(loaded)
    if name in NETS and not fit.spec.name.startswith(name):
        raise WeightsMismatch(f'{path}: contains {fit.spec.name}, not {name}. Delete it, and run the command again')
    if fit.wrong:
        more = len(fit.wrong) - MAX_REPORTED
        listed = '; '.join([*fit.wrong[:MAX_REPORTED], *([f'and {more} more'] if more > 0 else [])])
        raise WeightsMismatch(f'{path} is not {fit.spec.name} in {loaded.form}: {storage.printable(listed)}')
    spec = geometry.trim_edges(fit.spec, TRAINED_SAMPLES)
    tensors = {key: loaded.tensors[name] for key, name in fit.names.items()}
    clip = sweep()
    import keras

    # Some GPUs multiply in fewer bits than the comparison asks for.
    with keras.device('cpu'):
        net = _net(spec, loaded.form, tensors)
        scenes, differences = _scenes(net, clip), _differences(net, loaded.form, tensors, clip, path)
    digest = hashlib.sha256(data).hexdigest()
    origin = {
        **card.known(digest),
        'file': path.name,
        'bytes': len(data),
        'sha256': digest,
        'form': loaded.form,
        'conv1': {'min': float(tensors['conv1/kernel'].min()), 'max': float(tensors['conv1/kernel'].max())},
        'sweep_scenes': scenes,
        'differences': differences,
        'tensors': {
            key: {'name': fit.names[key], 'shape': list(tensor.shape), 'dtype': str(tensor.dtype)}
            for key, tensor in tensors.items()
        },
    }
    _write(net, origin, targets[0])
    for folder in targets[1:]:
        with storage.whole_folder(folder) as draft:
            shutil.copytree(targets[0], draft, dirs_exist_ok=True)
    return Imported(targets[0], spec, origin, register)


def _write(net: Any, origin: dict[str, Any], folder: pathlib.Path) -> None:
    """The saved net with its `net.tflite` and model card, whole or not at all."""
    from soundnet_tf.export import add_tflite

    with storage.whole_folder(folder) as draft:
        saved.save_net(net, draft, origin=origin)
        add_tflite(draft)
        (draft / 'MODEL_CARD.md').write_text(card.text(net.spec, origin), encoding='utf-8')


def _check(folder: pathlib.Path) -> None:
    """Raise SoundNetError if the folder holds anything but an older import."""
    if folder.is_file():
        raise SoundNetError(f'{folder}: is a file. Pass SOURCE first, then TARGET, the folder to create')
    folder.parent.mkdir(parents=True, exist_ok=True)
    origin = saved.read_facts(folder).get('origin', {}) if registry.is_net(folder) else {}
    if folder.is_dir() and any(folder.iterdir()) and 'sweep_scenes' not in origin:
        raise SoundNetError(f'{folder}: exists and was not imported. Use another folder, or another name')
    saved.require_ours(folder)


def sweep() -> Waveform:
    """The test clip, `[samples]` float32: a tone that rises linearly from 50 to 8,000 Hz within 20 s, amplitude 0.5."""
    times = np.arange(round(SWEEP_S * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * (50 * times + (8000 - 50) / (2 * SWEEP_S) * times**2))).astype(np.float32)


def _net(spec: NetSpec, form: str, tensors: dict[str, Any]) -> Any:
    from soundnet_tf.nets import model

    net = model.build(spec)
    for key, variable in model.variables_of(net).items():
        tensor = tensors[key]
        variable.assign(forms.FORMS[form].kernel(tensor) if key.endswith('/kernel') else tensor)
    return net


def _scenes(net: Any, clip: Waveform) -> list[tuple[str, float]]:
    """The three most probable scenes, by their mean over time."""
    mean = np.asarray(net(clip[None])['places'])[0].mean(axis=0)
    return [(net.labels['places'][index], float(mean[index])) for index in np.argsort(-mean)[:3]]


def _differences(net: Any, form: str, tensors: dict[str, Any], clip: Waveform, path: pathlib.Path) -> dict[str, float]:
    """The difference of each layer and head from plain numpy, relative to its largest value.

    Raises WeightsMismatch if one is too large.
    """
    from soundnet_tf.nets import model

    with np.errstate(all='ignore'):  # NaN and infinity are reported below
        truth = plain.forward(net.spec, form, tensors, clip)
    ours = model.features(net, [model.logits_name(name) if name in net.spec.head_names else name for name in truth])
    outputs = {key.removesuffix('_logits'): np.asarray(value)[0] for key, value in ours(clip[None]).items()}
    differences = {}
    for layer, values in truth.items():
        difference, largest = np.abs(outputs[layer] - values).max(), np.abs(values).max()
        differences[layer] = float(difference / largest) if difference else 0.0
        if not differences[layer] <= TOLERANCE:  # refuses NaN too
            raise WeightsMismatch(
                f'{path}: {layer} of the net differs by {difference:.3g} from plain numpy with the same tensors, '
                f'whose largest value is {largest:.3g}. The weights are not usable in float32'
            )
    return differences
