"""One training step on 20 s clips: ours, the same net by Keras' `train_on_batch`, and a plain PyTorch net.

    python benchmarks/train_step.py [soundnet8:64 soundnet8:16:knobs ...]

Each is a process of its own, and they take turns: the machine's other work falls on all alike. The
PyTorch net runs where `make .venv-bench/made` has made its environment, and is left out elsewhere.
"""

import os
import pathlib
import resource
import subprocess
import sys
import time
from typing import Any

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

from soundnet_tf import geometry
from soundnet_tf.spec import GAIN, SOUNDNET5, SOUNDNET8, Conv

ROOT = pathlib.Path(__file__).parent.parent
TORCH = ROOT / '.venv-bench' / 'bin' / 'python'
SAMPLES = 441_000
ROUNDS = 6
CASES = ['soundnet8:64', 'soundnet8:16', 'soundnet5:16', 'soundnet8:16:knobs']
"""Net and batch, and whether against peers or with this and that. The 5-layer net in Keras with 64 takes over 16 GB."""
NETS = {'soundnet8': SOUNDNET8, 'soundnet5': SOUNDNET5}


def made(spec, batch):
    """Noise, and as many rows of equal probabilities as the heads have steps."""
    import numpy as np

    waveform = np.random.default_rng(0).normal(0, 0.1, (batch, SAMPLES)).astype(np.float32)
    steps = geometry.frames(spec, spec.head_names[0], SAMPLES)
    return waveform, {head.name: np.full([batch, steps, head.classes], 1 / head.classes, 'f') for head in spec.heads}


def ours(spec, batch, **settings):
    import tensorflow as tf

    from soundnet_tf.config import Training
    from soundnet_tf.nets import model
    from soundnet_tf.records import Card, TeacherCard
    from soundnet_tf.training import steps

    waveform, seen = made(spec, batch)
    config = Training(batch=batch, **settings)
    teachers = {head.name: TeacherCard(head.classes, 'probabilities', '') for head in spec.heads}
    card = Card(teachers, 'mp3', 5.0, 20.0, 1, 1, 1, 1.0)
    state = steps.State(model.build(spec), config)
    step = steps.make_step(tf.distribute.get_strategy(), state, config, steps.Criterion(spec, config, card))
    given = {'waveform': tf.constant(waveform), 'id': tf.zeros([batch, 1], tf.uint8)}
    given |= {head: tf.constant(values) for head, values in seen.items()}
    return lambda: float(step(given)['means']['total'])


def keras(spec, batch):
    import keras

    from soundnet_tf.nets import losses, model

    waveform, seen = made(spec, batch)
    net = model.logits(model.build(spec))
    loss = lambda teacher, logits: losses.kl(teacher, logits)  # noqa: E731
    net.compile(optimizer=keras.optimizers.Adam(1e-3, beta_1=0.9), loss=dict.fromkeys(seen, loss))
    return lambda: net.train_on_batch(waveform, seen)


def torch(spec, batch):
    import torch  # pyright: ignore[reportMissingImports]  in .venv-bench

    waveform, seen = made(spec, batch)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            rows, channels = [], 1
            for row in spec.layers:
                if isinstance(row, Conv):
                    rows += [
                        torch.nn.Conv1d(channels, row.filters, row.kernel, row.stride, row.padding),
                        torch.nn.BatchNorm1d(row.filters),
                        torch.nn.ReLU(),
                    ]
                    channels = row.filters
                else:
                    rows.append(torch.nn.MaxPool1d(row.kernel, row.stride))
            self.trunk = torch.nn.Sequential(*rows)
            self.heads = torch.nn.ModuleDict(
                {h.name: torch.nn.Conv1d(channels, h.classes, h.kernel, h.stride, h.padding) for h in spec.heads}
            )

        def forward(self, x):
            x = self.trunk(x[:, None] * GAIN)
            return {name: head(x) for name, head in self.heads.items()}

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, seen = torch.from_numpy(waveform), {head: torch.from_numpy(rows).transpose(1, 2) for head, rows in seen.items()}

    def step():
        optimizer.zero_grad()
        loss: Any = 0.0
        for head, logits in net(x).items():
            apart = torch.nn.functional.kl_div(torch.log_softmax(logits, 1), seen[head], reduction='none')
            loss = loss + apart.sum(1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def with_(**settings):
    return lambda spec, batch: ours(spec, batch, **settings)


def to_the_bit(spec, batch):
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    return ours(spec, batch)


PEERS = {'ours': ours, 'Keras train_on_batch': keras, 'PyTorch': torch}
KNOBS = {
    'ours': ours,
    'precision=bfloat16': with_(precision='bfloat16'),
    'clip_norm=1': with_(clip_norm=1.0),
    'ema=0.999': with_(ema=0.999),
    'schedule=cosine': with_(schedule='cosine', warmup_steps=10),
    'deterministic=true': to_the_bit,
}
FORMS = PEERS | KNOBS


def child(form, net, batch):
    """Steps when asked, and says how long each took, and at the end the memory of all."""
    step = FORMS[form](NETS[net], batch)
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


def measured(net, batch, forms):
    """Seconds per step, the least of all turns, and GB at most, by form."""
    children = {}
    for form in forms:
        python = str(TORCH) if form == 'PyTorch' else sys.executable
        children[form] = subprocess.Popen(
            [python, __file__, form, net, str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {'PYTHONPATH': str(ROOT)},
        )
    took, memory = {form: [] for form in forms}, {}
    for turn in range(ROUNDS + 1):
        for form, process in children.items():
            print(file=process.stdin, flush=True)
            seconds, peak = process.stdout.readline().split()
            # The first builds the graph.
            if turn:
                took[form].append(float(seconds))
            memory[form] = int(peak) / 1e6
    for process in children.values():
        process.communicate()
    return {form: (min(took[form]), memory[form]) for form in forms}


def main():
    if len(sys.argv) == 4 and sys.argv[1] in FORMS:
        return child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print('| net | batch | form | clips/s | peak, GB | ours is so many times as fast |\n|---|---|---|---|---|---|')
    for case in sys.argv[1:] or CASES:
        net, batch, *knobs = case.split(':')
        forms = KNOBS if knobs else [form for form in PEERS if form != 'PyTorch' or TORCH.exists()]
        found = measured(net, int(batch), forms)
        for form, (seconds, peak) in found.items():
            cells = f'{int(batch) / seconds:.1f} | {peak:.1f} | {seconds / found["ours"][0]:.2f}'
            print(f'| {net} | {batch} | {form} | {cells} |', flush=True)


if __name__ == '__main__':
    main()
