"""One training step on 20 s clips: the quick form against the plain Keras net, in turns.

python benchmarks/training.py [batch]
"""

import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from soundnet_tf import fast, losses, model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8

ROUNDS = 4


def step_of(net, form):
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(net.trainable_variables)

    @tf.function
    def step(waveform, imagenet, places):
        with tf.GradientTape() as tape:
            logits = form(waveform)
            loss = tf.reduce_mean(losses.kl(imagenet, logits['imagenet']) + losses.kl(places, logits['places']))
        optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
        return loss

    return step


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    rng = np.random.default_rng(0)
    waveform = tf.constant(rng.normal(0, 0.1, (batch, 441_000)).astype(np.float32))
    targets = [tf.fill([batch, 4, classes], 1 / classes) for classes in (1000, 401)]
    print('| net | plain, clips/s | quick, clips/s | times as fast |\n|---|---|---|---|')
    for spec in (SOUNDNET8, SOUNDNET5):
        plain, quick = model.build(spec), model.build(spec)
        plain_logits = model.logits(plain)
        steps = {
            'plain': step_of(plain, lambda x, run=plain_logits: run(x, training=True)),
            'quick': step_of(quick, fast.training_form(quick)),
        }
        took = {name: [] for name in steps}
        for turn in range(ROUNDS + 1):
            for name, step in steps.items():
                began = time.perf_counter()
                step(waveform, *targets)
                if turn:
                    took[name].append(time.perf_counter() - began)
        plain_s, quick_s = (statistics.median(took[name]) for name in ('plain', 'quick'))
        print(f'| {spec.name} | {batch / plain_s:.1f} | {batch / quick_s:.1f} | {plain_s / quick_s:.2f} |', flush=True)


if __name__ == '__main__':
    main()
