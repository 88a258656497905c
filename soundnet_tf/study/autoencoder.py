"""The convolutional autoencoder, the paper's baseline without teachers."""

import contextlib
import dataclasses
import itertools
import pathlib
from typing import Any

import keras
import tensorflow as tf

from soundnet_tf import progress
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.config import Experiment
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import fast, model, saved
from soundnet_tf.records import batches
from soundnet_tf.spec import Conv, NetSpec
from soundnet_tf.training import runs
from soundnet_tf.training.checkpoints import Checkpoints


def trunk_of(spec: NetSpec) -> NetSpec:
    """The net up to its feature layer, without heads; later layers are not trained here."""
    last = spec.layer_names.index(spec.feature_layer)
    return dataclasses.replace(spec, layers=spec.layers[: last + 1], heads=())


def decoder(spec: NetSpec) -> keras.Model:
    """The mirror of a trunk: `[batch, time, channels]` to `[batch, time * hop]`, about the length of the sound."""
    rows = [row for row in spec.layers if isinstance(row, Conv)]
    x = given = keras.Input((None, rows[-1].filters))
    before = {row.name: previous.filters for previous, row in itertools.pairwise(rows)}
    for row in reversed(spec.layers):
        if not isinstance(row, Conv):
            x = keras.layers.UpSampling1D(row.stride)(x)
            continue
        filters = before.get(row.name, 1)
        x = keras.layers.Conv1DTranspose(filters, row.kernel, row.stride, padding='same')(x)
        if row.name in before:
            x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(given, keras.layers.Reshape((-1,))(x))


def train(folder: str, experiment: Experiment, run: pathlib.Path, spec: NetSpec | None = None) -> pathlib.Path:
    """Train on reconstructing the sound of the records in `folder`; returns the saved trunk, `run/net`.

    The net, or another `spec`, and steps, batch, clips, learning rate and seed are the experiment's; the loss is the
    mean squared error of the waveform. Resumes from the last checkpoint. Raises SoundNetError if the loss is NaN
    or infinite.
    """
    config, spec = experiment.training, trunk_of(spec or experiment.spec())
    about = experiment.to_dict() | {'training': config.to_dict() | {'loss': 'autoencoder'}}
    runs.begin(run, about, spec.to_dict(), folder)
    keras.utils.set_random_seed(config.seed)
    trunk, back = model.build(spec), decoder(spec)
    variables = [*trunk.trainable_variables, *back.trainable_variables]
    optimizer: Any = keras.optimizers.Adam(config.learning_rate, beta_1=0.9)
    optimizer.build(variables)
    step = tf.Variable(tf.zeros([], tf.int64))
    checkpoints = Checkpoints(
        tf.train.Checkpoint(trunk=trunk, back=back, optimizer=optimizer, step=step), run / 'checkpoints'
    )
    checkpoints.restore()
    form, samples = fast.training_trunk(trunk), round(config.clip_s * SAMPLE_RATE)

    @tf.function(input_signature=[tf.TensorSpec([None, samples], tf.float32)])
    def learn(waveform: Any) -> Any:
        with tf.GradientTape() as tape:
            given: Any = back(form(waveform), training=True)
            length = tf.minimum(tf.shape(given)[1], samples)
            loss = tf.reduce_mean(tf.square(given[:, :length] - waveform[:, :length]))
        optimizer.apply(tape.gradient(loss, variables), variables)
        step.assign_add(1)
        return loss

    done, loss = int(step.numpy()), float('nan')
    examples = batches.batches(folder, samples=samples, batch=config.batch, seed=config.seed, first=done)
    bar = progress.bar(total=config.steps, initial=done, unit='step', desc='autoencoder', keep=True)
    with bar, _saved_when_stopped(checkpoints, step):
        for batch in itertools.islice(examples, config.steps - done):
            loss = float(learn(batch['waveform']))
            if not loss < float('inf'):
                raise SoundNetError(
                    f'{run}: step {int(step.numpy())}: the loss is NaN or infinite. Use a lower learning_rate'
                )
            bar.set_postfix(error=f'{loss:.2g}', refresh=False)
            bar.update()
            if int(step.numpy()) % config.save_every == 0:
                checkpoints.save(int(step.numpy()))
    origin = {
        'trained_on': folder,
        'experiment': about,
        'steps': int(step.numpy()),
        'squared_error': loss if loss < float('inf') else None,
    }
    return saved.save_net(trunk, run / 'net', origin=origin)


@contextlib.contextmanager
def _saved_when_stopped(checkpoints: Checkpoints, step: tf.Variable) -> Any:
    try:
        yield
    except KeyboardInterrupt:
        if int(step.numpy()):
            checkpoints.save(int(step.numpy()))
        raise
