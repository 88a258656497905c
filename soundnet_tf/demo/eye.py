"""The demo's teacher: a small image classifier, trained on labelled frames without any sound.

It takes the role of the ImageNet and Places networks of the paper.
"""

import os
import pathlib
import tempfile
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.demo import world

PENULTIMATE = 'seen'
"""The layer before the classes, `[batch, 128]`: the features of a picture."""


def build(classes: int = len(world.KINDS)) -> keras.Model:
    """`[batch, 96, 96, 3]` RGB in 0..255 to `[batch, classes]` probabilities."""
    picture = keras.Input((world.SIZE, world.SIZE, 3), name='picture')
    x = keras.layers.Rescaling(1 / 127.5, -1)(picture)
    for filters, size, stride, pool in ((16, 5, 2, 2), (32, 3, 1, 2), (64, 3, 1, 2), (128, 3, 1, 1)):
        x = keras.layers.Conv2D(filters, size, stride, padding='same', use_bias=False)(x)
        x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalMaxPooling2D(name=PENULTIMATE)(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(picture, keras.layers.Dense(classes, activation='softmax')(x), name='eye')


def learn(
    path: str | os.PathLike[str],
    frames: NDArray[np.uint8],
    kinds: NDArray[np.int64],
    epochs: int,
    seed: int,
    classes: int = len(world.KINDS),
) -> float:
    """Train an image classifier with this number of classes and save it as a Keras file.

    Returns its accuracy on the last tenth of the frames, which are held out.
    """
    keras.utils.set_random_seed(seed)
    net: Any = build(classes)
    held_out = len(frames) // 10
    steps = epochs * ((len(frames) - held_out) // 64 + 1)
    rate: Any = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    net.compile(keras.optimizers.Adam(rate), loss='sparse_categorical_crossentropy')
    net.fit(frames[:-held_out], kinds[:-held_out], batch_size=64, epochs=epochs, verbose=0)
    with tempfile.TemporaryDirectory() as folder:  # Keras needs a path that ends with .keras
        draft = pathlib.Path(folder) / 'eye.keras'
        net.save(draft)
        storage.write_bytes(path, draft.read_bytes())
    return float(np.mean(np.argmax(net.predict(frames[-held_out:], verbose=0), -1) == kinds[-held_out:]))
