"""Records to batches against the step that takes them: each alone, and both on the same processor.

    python benchmarks/input_pipeline.py [batch, by default 64]

Clips of 20 s, the 8-layer net, one device. A turn is some steps on one batch again and again, as many
on batches that come from records, and as many batches without a step.
"""

import itertools
import os
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import tensorflow as tf

from soundnet_tf import records
from soundnet_tf.config import Training
from soundnet_tf.nets import model
from soundnet_tf.records import batches
from soundnet_tf.spec import SOUNDNET8
from soundnet_tf.testing import make_records
from soundnet_tf.training import steps

CLIP_S, CLIPS, STEPS, ROUNDS = 20, 96, 4, 4
TEACHERS = {'imagenet': 1000, 'places': 401}


def seconds(work, items):
    """For one step, or batch, after the first two of them."""
    work(next(items))
    work(next(items))
    began = time.perf_counter()
    for _ in range(STEPS):
        work(next(items))
    return (time.perf_counter() - began) / STEPS


def clips_of(folder, batch):
    made = batches.batches(folder, samples=CLIP_S * 22_050, batch=batch)
    return made.map(lambda clips: {**clips, 'id': tf.zeros([batch, 1], tf.uint8)})


def measured(folder, batch):
    """Seconds of a step alone, of both, and of a batch alone: the least of all turns."""
    config = Training(batch=batch)
    spec = SOUNDNET8.with_heads(TEACHERS)
    state = steps.State(model.build(spec), config)
    criterion = steps.Criterion(spec, config, records.read_card(folder))
    step = steps.make_step(tf.distribute.get_strategy(), state, config, criterion)

    def learn(clips):
        float(step(clips)['means']['total'])

    same = next(iter(clips_of(folder, batch)))
    turns = [
        (
            seconds(learn, itertools.repeat(same)),
            seconds(learn, iter(clips_of(folder, batch))),
            seconds(lambda clips: clips, iter(clips_of(folder, batch))),
        )
        for _ in range(ROUNDS)
    ]
    return [min(times) for times in zip(*turns, strict=True)]


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    print('| records | batches alone, clips/s | step alone | so many times as fast | both | lost to data |')
    print('|---|---|---|---|---|---|')
    for audio_format in ('mp3', 'pcm16'):
        with tempfile.TemporaryDirectory() as folder:
            make_records(folder, CLIPS, TEACHERS, CLIP_S, audio_format)
            step, both, alone = measured(folder, batch)
        rates = f'{batch / alone:.0f} | {batch / step:.1f} | {step / alone:.1f} | {batch / both:.1f}'
        print(f'| {audio_format} | {rates} | {1 - step / both:.0%} |', flush=True)


if __name__ == '__main__':
    main()
