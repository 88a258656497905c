"""How long each decoder takes for a 20 s MP3 as records hold it, and what a clip costs on its way into a batch.

python benchmarks/decoding.py
"""

import statistics
import tempfile
import time

from soundnet_tf import data, decoding
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.prepare import media
from soundnet_tf.testing import make_records, noise, tone

ROUNDS = 15


def milliseconds(call):
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def clips_per_second(folder, decoder, clips=128):
    dataset = iter(data.batches(folder, samples=20 * SAMPLE_RATE, batch=16, decoder=decoder))
    next(dataset)
    began = time.perf_counter()
    for _ in range(clips // 16):
        next(dataset)
    return clips / (time.perf_counter() - began)


def main():
    mp3 = media.encode_sound(tone(20, 440) + noise(20), 'mp3')
    names = decoding.available()
    with tempfile.TemporaryDirectory() as folder:
        make_records(f'{folder}/mp3', count=32, seconds=20)
        make_records(f'{folder}/pcm16', count=32, seconds=20, audio_format='pcm16')
        rows = [
            (
                name,
                milliseconds(lambda name=name: decoding.decode(mp3, 'x', name)),
                clips_per_second(f'{folder}/mp3', name),
            )
            for name in names
        ]
        rows.append(('int16 PCM', None, clips_per_second(f'{folder}/pcm16', 'auto')))
    least = min(took for _, took, _ in rows if took)
    print('| decoder | ms per 20 s MP3 | times the fastest | records to batches, clips/s |\n|---|---|---|---|')
    for name, took, rate in rows:
        print(f'| {name} | {took:.1f} | {took / least:.2f} | {rate:.0f} |' if took else f'| {name} | | | {rate:.0f} |')


if __name__ == '__main__':
    main()
