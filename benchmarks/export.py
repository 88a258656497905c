"""Exports against their aims: time beside OpenVINO's and YAMNet's, numbers beside Keras', sizes.

python benchmarks/export.py [NET] [rounds]

NET is a saved 8-layer net; without it, one with random weights, whose 8 bits say less than a trained net's.
SOUNDNET_DATA names the folder of esc10/ (real clips, which 8 bits are judged on) and peers/ (YAMNet). OpenVINO
runs in `.venv-bench`, which `make bench` makes. What is missing is left out. Contenders take turns: read ratios.
"""

import functools
import os
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import numpy as np
import tensorflow as tf
from embed import BENCH, Worker

from soundnet_tf.audio import SAMPLE_RATE, decoding, fit_length
from soundnet_tf.export import add_tflite, hub, lite, quality, representative
from soundnet_tf.export.verify import cosine, quiet
from soundnet_tf.nets import fast, litert, model, saved
from soundnet_tf.spec import SOUNDNET8
from soundnet_tf.testing import enliven, noise

DATA = pathlib.Path(os.environ.get('SOUNDNET_DATA', 'nowhere'))
SECONDS = 5
HEADS_S = 12
"""The heads of the original need 11 s."""
YAMNET_RATE, YAMNET_SAMPLES = 16_000, 15_600
MAX_MB = {'float32': 12, 'float16': 6, 'int8': 3}
ROUNDS = 40


def sounds():
    """Clips for the loss of quality, and others for cosines."""
    files = sorted(DATA.glob('esc10/*/*.ogg'))
    # Every other: of each class, and of each fold.
    return representative.read(files[::2]), [decoding.read(path) for path in files[1::8]]


def seconds_of(kind):
    return HEADS_S if kind == 'tags' else SECONDS


def made(net, kind, precision, clips, home) -> tuple[Any, pathlib.Path]:
    folder = pathlib.Path(home) / f'{kind}-{precision}'
    folder.mkdir()
    plan = lite.plan(net, kind, precision, seconds_of(kind), clips)
    plan.write(folder)
    return plan, folder


def in_turns(runs, rounds):
    """Median milliseconds of each, and how many times the first's they are, turn by turn."""
    took = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            took[name].append(run())
    first = took[next(iter(runs))]
    return {
        name: (
            1000 * statistics.median(times),
            1000 * min(times),
            statistics.median(a / b for a, b in zip(times, first, strict=True)),
        )
        for name, times in took.items()
    }


def timed(call):
    """Once to have the processor's caches, once that counts."""

    def run():
        call()
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return run


def speed(net, files, home, rounds):
    waveform = noise(SECONDS, 0.3)[None]
    runs = {}
    for precision, (_, folder) in files.items():
        runner = litert.light(folder / 'model.tflite').get_signature_runner()
        runs[f'LiteRT {precision}'] = timed(lambda runner=runner: runner(waveform=waveform))
    worker = None
    if BENCH.exists():
        add_tflite(saved.save_net(net, pathlib.Path(home) / 'net'))
        worker = Worker('openvino', pathlib.Path(home) / 'net', BENCH)
        if worker.works:
            runs['OpenVINO'] = lambda: float(worker.ask(f'1 {SECONDS * SAMPLE_RATE}').split()[0])
    yamnet = DATA / 'peers' / 'yamnet_cls.tflite'
    if yamnet.exists():
        other = litert.light(yamnet)
        (entry,) = other.get_input_details()
        other.allocate_tensors()
        window = noise(1, 0.3)[:YAMNET_SAMPLES].reshape(entry['shape'])

        def hear():
            other.set_tensor(entry['index'], window)
            other.invoke()

        runs['YAMNet, 0.975 s'] = timed(hear)
    seconds = dict.fromkeys(runs, SECONDS) | {'YAMNet, 0.975 s': YAMNET_SAMPLES / YAMNET_RATE}
    print(f'| 1 x {SECONDS} s to conv7 | ms | least ms | of float32 | ms per second of sound |\n|---|---|---|---|---|')
    for name, (ms, least, ratio) in in_turns(runs, rounds).items():
        print(f'| {name} | {ms:.2f} | {least:.2f} | {ratio:.2f} | {ms / seconds[name]:.2f} |', flush=True)
    if worker:
        worker.close()


def hub_speed(net, home, rounds):
    hub.write(net, f'{home}/hub')
    module = tf.saved_model.load(f'{home}/hub')
    layers = [net.spec.feature_layer, net.spec.layer_names[-1], *net.spec.head_names]
    form = tf.function(fast.inference_form(net, layers))
    print(f'\n| all outputs, ms | 1 x {HEADS_S} s | 16 x {HEADS_S} s |\n|---|---|---|')
    cells = {}
    for batch in (1, 16):
        waveform = tf.constant(np.stack([noise(HEADS_S, seed=seed) for seed in range(batch)]))
        contenders = {'fast.inference_form': form, 'TF-Hub module': module}
        runs = {name: timed(functools.partial(call, waveform)) for name, call in contenders.items()}
        for name, (ms, _, ratio) in in_turns(runs, rounds).items():
            cells.setdefault(name, []).append(f'{ms:.1f} ({ratio:.2f})')
    for name, row in cells.items():
        print(f'| {name} | ' + ' | '.join(row) + ' |', flush=True)


def faithful(files, judged, seconds=SECONDS):
    """How far each precision is from float32, on clips as they are and at a peak of -40 dBFS."""
    run = {name: litert.light(folder / 'model.tflite').get_signature_runner() for name, (_, folder) in files.items()}
    cosines = {}
    for clip in judged:
        whole = fit_length(clip, seconds * SAMPLE_RATE)
        for loudness, waveform in (('loud', whole), ('quiet', quiet(whole))):
            wanted = run['float32'](waveform=waveform[None])
            for precision in list(run)[1:]:
                for name, values in run[precision](waveform=waveform[None]).items():
                    cosines.setdefault((precision, name), {}).setdefault(loudness, []).append(
                        cosine(values, wanted[name])
                    )
    for (precision, name), found in cosines.items():
        print(f'| {precision}, {name} | {min(found["loud"]):.5f} | {min(found["quiet"]):.5f} |', flush=True)


def main():
    net = saved.load_net(sys.argv[1]) if len(sys.argv) > 1 else enliven(model.build(SOUNDNET8))
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    clips, judged = sounds()
    with tempfile.TemporaryDirectory() as home:
        trunk = model.build(net.spec.with_heads({}))
        own = model.variables_of(net)
        for key, variable in model.variables_of(trunk).items():
            variable.assign(own[key])
        precisions = ['float32', 'float16', 'dynamic', 'int8']
        files = {precision: made(trunk, 'layers', precision, clips, home) for precision in precisions}
        print('| trunk of the 8-layer net, without heads | MB | at most |\n|---|---|---|')
        for precision, (_, folder) in files.items():
            size, most = (folder / 'model.tflite').stat().st_size / 1e6, MAX_MB.get(precision, '')
            print(f'| {precision} | {size:.2f} | {most} |')
        print()
        speed(trunk, files, home, rounds)
        hub_speed(net, home, max(5, rounds // 4))
        if clips:
            print('\n| cosine to float32, least of the clips | as they are | at -40 dBFS |\n|---|---|---|')
            faithful(files, judged)
            for kind in ('embedding', 'tags') if net.spec.heads else ('embedding',):
                files = {precision: made(net, kind, precision, clips, home) for precision in ('float32', 'int8')}
                faithful(files, judged, seconds_of(kind))
                plan, folder = files['int8']
                lost = '; '.join(map(str, quality.measured(net, plan, folder, clips)))
                print(f'\n{kind}, int8: {lost}\n', flush=True)


if __name__ == '__main__':
    main()
