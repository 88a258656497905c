"""How fast each decoder turns 20 s MP3s, as records hold them, into waveforms inside tf.data, with 1 and 2 threads.

python benchmarks/decode.py [seconds to measure each]
"""

import os
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import tensorflow as tf

from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.records import batches
from soundnet_tf.testing import make_records

CLIP_S, CLIPS, ROUNDS = 20, 48, 3


def audio_seconds_per_second(folder, decoder, threads, measure_s):
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    clips = batches.batches(folder, samples=CLIP_S * SAMPLE_RATE, batch=1, decoder=decoder).with_options(options)
    iterator = iter(clips)
    for _ in range(4):
        next(iterator)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < measure_s:
        next(iterator)
        count += 1
    return count * CLIP_S / (time.perf_counter() - began)


def main():
    measure_s = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as folder:
        for audio_format in ('mp3', 'pcm16'):
            make_records(f'{folder}/{audio_format}', count=CLIPS, seconds=CLIP_S, audio_format=audio_format)
        cases = [(name, 'mp3', name) for name in decoding.available()] + [('int16 PCM', 'pcm16', 'auto')]
        best = {}
        # In turns, and the best of each: the machine's other work falls on all alike.
        for _ in range(ROUNDS):
            for name, audio_format, decoder in cases:
                for threads in (1, 2):
                    rate = audio_seconds_per_second(f'{folder}/{audio_format}', decoder, threads, measure_s)
                    best[name, threads] = max(rate, best.get((name, threads), 0))
    print('| decoder | 1 thread, s/s | 2 threads, s/s | of the fastest, 1 | 2 |\n|---|---|---|---|---|')
    fastest = [max(best[name, threads] for name, kind, _ in cases if kind == 'mp3') for threads in (1, 2)]
    for name, _, _ in cases:
        rates = [best[name, threads] for threads in (1, 2)]
        ratios = [rate / most for rate, most in zip(rates, fastest, strict=True)]
        print(f'| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |')


if __name__ == '__main__':
    main()
