"""The TF-Hub module of a net learns new sounds: in a loop of one's own, without soundnet_tf.

python docs/examples/finetune_hub.py exports/hub sounds.npz

sounds.npz: `waveforms` [clips, samples] float32, mono, 22,050 Hz, in [-1, 1], and `classes` [clips], whole numbers.
Writes tuned/, a SavedModel that gives the class of a clip.
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

STEPS, BATCH, RATE = 100, 16, 1e-4


class Classifier(tf.Module):
    """The module, and a layer on its embedding."""

    def __init__(self, path, waveforms, classes):
        self.sound = hub.load(path)
        channels = self.sound(waveforms[:1])['embedding'].shape[-1]
        self.kernel = tf.Variable(tf.random.stateless_normal([channels, classes], [0, 0], stddev=0.01))
        self.bias = tf.Variable(tf.zeros([classes]))

    def logits(self, waveforms, training):
        return self.sound(waveforms, training=training)['embedding'] @ self.kernel + self.bias

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
    def __call__(self, waveforms):
        return tf.nn.softmax(self.logits(waveforms, training=False))


def main(path, sounds, steps=STEPS):
    """Fine-tune all weights on the sounds."""
    with np.load(sounds) as file:
        waveforms, classes = file['waveforms'], file['classes'].astype(np.int64)
    net = Classifier(path, waveforms, classes.max() + 1)
    # Adam, in three lines, so that no version of Keras matters.
    learned = [net.kernel, net.bias, *net.sound.trainable_variables]
    means = [tf.Variable(tf.zeros_like(variable)) for variable in learned]
    squares = [tf.Variable(tf.zeros_like(variable)) for variable in learned]

    @tf.function
    def step(batch, wanted, count):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, net.logits(batch, training=True))
            loss = tf.reduce_mean(losses)
        # Heads of the net that the loss does not ask have no gradient.
        for variable, mean, square, gradient in zip(learned, means, squares, tape.gradient(loss, learned), strict=True):
            if gradient is not None:
                mean.assign(0.9 * mean + 0.1 * gradient)
                square.assign(0.999 * square + 0.001 * gradient**2)
                scaled = mean / (1 - 0.9**count) / (tf.sqrt(square / (1 - 0.999**count)) + 1e-8)
                variable.assign_sub(RATE * scaled)
        return loss

    order = np.random.default_rng(0)
    for count in range(1, steps + 1):
        chosen = order.choice(len(waveforms), min(BATCH, len(waveforms)), replace=False)
        loss = step(waveforms[chosen], classes[chosen], tf.constant(float(count)))
        if count % 20 == 0 or count == steps:
            print(f'step {count}: loss {loss:.3f}')
    tf.saved_model.save(net, 'tuned')
    right = np.mean(np.argmax(net(waveforms), 1) == classes)
    print(f'{right:.0%} of the clips that it learned from are named rightly')


if __name__ == '__main__':
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
