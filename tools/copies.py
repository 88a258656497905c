"""Test the nets of a cross-validation on other copies of its clips, such as full-band ones beside 16 kHz.

python -m tools.copies --data=ESC-50/ --copies=ESC-10/ --work=runs/ship50

The folders of the rows, WORK/rows/foldF-seedS/, must have their nets. Copies are found by their names, as in ESC-10 and
ESC-50: recording and take.
"""

import argparse
import pathlib
import re
import statistics

import numpy as np

from soundnet_tf import inference
from soundnet_tf.audio import decoding
from soundnet_tf.evaluation import datasets
from soundnet_tf.shipping import outputs


def main() -> None:
    """Print the accuracy of each net on the clips of its test fold that have a copy, and on the copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('data', 'copies', 'work'):
        parser.add_argument(f'--{name}', required=True)
    given = parser.parse_args()
    dataset, others = datasets.load(given.data), datasets.load(given.copies)
    ours = {name: index for index in range(len(dataset.clips)) for name in dataset.identifiers(index)}
    pairs = {
        ours[name]: others.clips[index].path
        for index in range(len(others.clips))
        for name in others.identifiers(index)
        if name in ours
    }
    accuracy: dict[str, list[float]] = {'clips': [], 'copies': []}
    for folder in sorted(pathlib.Path(given.work, 'rows').glob('fold*-seed*/net')):
        fold = int(re.findall(r'\d+', folder.parent.name)[0])
        own = [index for index in pairs if dataset.clips[index].fold == fold]
        truth = np.array([dataset.targets[index] for index in own])
        embedder, found = inference.load(folder, short='tile'), []
        for name, paths in (('clips', [dataset.clips[i].path for i in own]), ('copies', [pairs[i] for i in own])):
            logits = outputs.of_waveforms(embedder, [decoding.read(path) for path in paths])
            accuracy[name].append(float((logits.argmax(axis=1) == truth).mean()))
            found.append(logits.argmax(axis=1))
        shares = ', '.join(f'{name} {values[-1]:.1%}' for name, values in accuracy.items())
        print(f'{folder.parent.name}: {len(own)} pairs, {shares}, equal answers {(found[0] == found[1]).mean():.1%}')
    print(', '.join(f'{name} {statistics.fmean(values):.1%}' for name, values in accuracy.items()))


if __name__ == '__main__':
    main()
