"""Compare nets that learned by ear from the original net with it, and include one of them.

python -m tools.by_ear --sounds=runs/ear/held_out --data=ESC-10/ --data=ESC-50/ runs/small8/net runs/small5/net
python -m tools.by_ear --sounds=runs/ear/held_out --data=ESC-10/ --data=ESC-50/ runs/small8/net \
    --about='...' --licence=MIT --out=savedmodels/soundnet8-small

Agreement is that of each time step of the net with the step of the original nearest to it, on sounds that none of the
nets learned from.
"""

import argparse
import dataclasses
import pathlib
import shutil
import statistics
import tempfile
import textwrap
import time
from typing import Any

import numpy as np

from soundnet_tf import inference, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.evaluation import datasets
from soundnet_tf.evaluation.embedders import saved_nets
from soundnet_tf.evaluation.protocol import PROTOCOLS, evaluate
from soundnet_tf.evaluation.text_tables import columns
from soundnet_tf.export import hub, tflite
from soundnet_tf.inference import files
from soundnet_tf.nets import lookup, saved
from soundnet_tf.shipping import shelf
from soundnet_tf.testing import noise

ORIGINAL = 'soundnet8'
LAYERS = 'pool5', 'conv6'
TIMED_S, TIMES = 20, 9


def agreement(net: pathlib.Path, sounds: list[str]) -> dict[str, float]:
    """By head: the share of steps whose top class is the original's, and whose top 5 have it."""
    original, own = inference.load(lookup.find(ORIGINAL)), inference.load(net)
    heads = own.spec.head_names
    found: dict[str, list[bool]] = {}
    pairs = zip(*(embedder.embed_files(sounds, layers=heads) for embedder in (original, own)), strict=True)
    for truth, heard in pairs:
        for head in heads:
            nearest = abs(np.subtract.outer(heard[head].times, truth[head].times)).argmin(axis=1)
            best = truth[head].values.argmax(axis=1)[nearest]
            order = np.argsort(-heard[head].values, axis=1)
            found.setdefault(f'{head} top 1', []).extend(order[:, 0] == best)
            found.setdefault(f'{head} top 5', []).extend((order[:, :5] == best[:, None]).any(axis=1))
    return {name: float(np.mean(values)) for name, values in found.items()}


def speed_ms(net: pathlib.Path) -> float:
    """Milliseconds of LiteRT per second of a clip of TIMED_S."""
    embedder, clip = inference.load(net), noise(TIMED_S)
    heads, taken = list(embedder.spec.head_names), []
    for _ in range(TIMES):
        began = time.perf_counter()
        embedder.embed(clip, SAMPLE_RATE, layers=heads)
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken) / TIMED_S


def measured(net: pathlib.Path, sounds: list[str], data: list[str]) -> dict[str, Any]:
    """All numbers of a net."""
    facts: dict[str, Any] = {'bytes': (net / saved.TFLITE).stat().st_size, 'ms_per_s': speed_ms(net)}
    facts |= agreement(net, sounds)
    for path in data:
        dataset = datasets.load(path)
        for layer in (name for name in LAYERS if name in saved.read_spec(net).layer_names):
            protocol = dataclasses.replace(PROTOCOLS['esc'], layer=layer)
            facts[f'{dataset.name} {layer}'] = evaluate(dataset, saved_nets.saved_net(net), protocol).accuracy
    return facts


def table(found: dict[str, dict[str, Any]]) -> str:
    """A column per net."""
    keys = list(dict.fromkeys(key for facts in found.values() for key in facts))
    lines = [['', *found]]
    for key in keys:
        cells = [facts.get(key) for facts in found.values()]
        form = '{:,}' if key == 'bytes' else '{:.4g}'
        lines.append([key, *('-' if cell is None else form.format(cell) for cell in cells)])
    return columns(lines)


CARD = """# {name}

{about} It has the heads of the original: 1,000 objects of ImageNet and 401 scenes of Places, as hints of what a picture
would show. It learned by ear, from the answers of the original alone. Weights in float16, licensed under {licence}.

    soundnet-tag --model={name} sound.ogg
    soundnet-embed --model={name} --out=embeddings sound.ogg

Measured beside the original by `tools/by_ear.py`: the size of `net.tflite` and its time on one machine; the share of
time steps on {sounds} left-out tracks whose top class is the original's, and whose top 5 have it; the accuracy of a
linear SVM on a layer's features by the paper's protocol.

```
{table}
```

It learned from mixtures of everyday sounds, {learned}. On other sounds it may differ more from the original. Its
probabilities were not calibrated, and it never says "not sure".
"""


def card(facts: dict[str, Any]) -> str:
    """From model.json."""
    text = CARD.format(**facts, **facts['data'], table=table(facts['beside']))
    paragraphs = text.strip().split('\n\n')
    return '\n\n'.join(part if part[0] in ' `#' else textwrap.fill(part, 118) for part in paragraphs) + '\n'


def include(net: pathlib.Path, out: pathlib.Path, found: dict[str, dict[str, Any]], given: argparse.Namespace) -> None:
    """Write the folder of an included net, with all forms, and list it."""
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home) / out.name
        origin = saved.read_facts(net)['origin']
        kept = {key: origin[key] for key in ('experiment', 'steps', 'start_sha256')}
        shares = {head: 100 * found[out.name][f'{head} top 5'] for head in saved.read_spec(net).head_names}
        agreed = {f"the original's top class is in the top 5 of {head}, %": f'{shares[head]:.1f}' for head in shares}
        saved.save_net(saved.load_net(net), folder, origin=kept | {'measured': agreed}, dtype='float16')
        tflite.add_tflite(folder, 'float16')
        hub.add_module(folder)
        found[out.name]['bytes'] = (folder / saved.TFLITE).stat().st_size  # with half as many bits
        spec = saved.read_spec(folder)
        about = {'about': given.about, 'learned': given.learned, 'sounds': len(files.find([given.sounds]))}
        facts = {'name': out.name, 'spec': spec.to_dict(), 'licence': given.licence, 'data': about, 'beside': found}
        storage.write_json(folder / 'model.json', saved.read_facts(folder) | facts)
        (folder / 'MODEL_CARD.md').write_text(card(facts), encoding='utf-8')
        with storage.whole_folder(out) as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
    shelf.put(out, spec.name, given.about, given.licence, default=False)


def main() -> None:
    """Measure the nets and the original, and include the only one with --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('nets', nargs='+', type=pathlib.Path, help='folders of saved nets')
    parser.add_argument('--sounds', required=True, help='a folder of left-out tracks')
    parser.add_argument('--data', action='append', default=[], help='labelled sounds, for the protocol')
    parser.add_argument('--out', type=pathlib.Path, help='the folder of the included net; its name is the name')
    parser.add_argument('--about', help='what the net is, for its card')
    parser.add_argument('--learned', help='from which sounds it learned')
    parser.add_argument('--licence', help='of the weights')
    given = parser.parse_args()
    if given.out and not (len(given.nets) == 1 and given.about and given.learned and given.licence):
        parser.error('--out needs one net, --about, --learned and --licence')
    sounds = [file.path for file in files.find([given.sounds])]
    found = {
        'original' if net == lookup.find(ORIGINAL) else str(net): measured(net, sounds, given.data)
        for net in (lookup.find(ORIGINAL), *given.nets)
    }
    print(table(found))
    if given.out:
        (net,) = given.nets
        include(net, given.out, {'original': found['original'], given.out.name: found[str(net)]}, given)


if __name__ == '__main__':
    main()
