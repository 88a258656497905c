import dataclasses

import pytest

from soundnet_tf import config, experiments
from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import SoundNetError
from soundnet_tf.spec import SOUNDNET5

PLAIN = Experiment('plain', '')


@pytest.mark.parametrize(
    ('setting', 'field', 'value'),
    [
        ('steps=7', 'steps', 7),
        ('learning_rate=3e-4', 'learning_rate', 3e-4),
        ('loss=l2', 'loss', 'l2'),
        ('crop=true', 'crop', True),
        ('deterministic=False', 'deterministic', False),
        ('teachers=imagenet,places', 'teachers', ('imagenet', 'places')),
        ('teachers=', 'teachers', ()),
        ('weights=imagenet=2,places=0.5', 'weights', {'imagenet': 2.0, 'places': 0.5}),
    ],
)
def test_a_setting(setting, field, value):
    changed = config.override(PLAIN, [setting])
    assert getattr(changed.training, field) == value
    assert changed == dataclasses.replace(PLAIN, training=dataclasses.replace(PLAIN.training, **{field: value}))


def test_the_net():
    changed = config.override(PLAIN, ['net=soundnet5', 'width=0.25', 'width=0.5'])
    assert (changed.net, changed.width) == ('soundnet5', 0.5)
    assert changed.spec().layers[0].filters == SOUNDNET5.layers[0].filters // 2
    assert config.override(PLAIN, ['net=soundnet5']).spec() == SOUNDNET5


@pytest.mark.parametrize(
    ('setting', 'words'),
    [
        (
            'colour=red',
            r"'colour=red': unknown setting. Use name=value, with one of net, width, steps, batch, ",
        ),
        ('steps', "'steps': unknown setting. Use name=value"),
        ('steps=many', "steps must be a whole number, got 'many'"),
        ('learning_rate=low', "learning_rate must be a number, got 'low'"),
        ('crop=perhaps', "crop must be true or false, got 'perhaps'"),
        ('weights=imagenet', "weights must be name=number,..., got 'imagenet'"),
        ('loss=mse', "loss must be kl or l2, got 'mse'"),
        ('net=vgg', "net must be soundnet8 or soundnet5, got 'vgg'"),
        ('width=2', 'width must be more than 0 and at most 1, got 2.0'),
        ('steps=0', 'steps must be more than 0, got 0'),
        ('steps=-1', 'steps must be more than 0, got -1'),
        ('learning_rate=nan', 'learning_rate must be more than 0, got nan'),
    ],
)
def test_invalid_settings_are_reported(setting, words):
    with pytest.raises(SoundNetError) as caught:
        config.override(PLAIN, [setting])
    assert words in str(caught.value)


def test_the_defaults_are_the_papers():
    """Section 4, and the authors' main_train.lua."""
    assert Training() == Training(
        steps=100_000, batch=64, clip_s=20.0, learning_rate=1e-3, loss='kl', pairing='index', schedule='constant',
        warmup_steps=0, clip_norm=0.0, ema=0.0, precision='float32', gain_db=0.0, crop=False, temperature=1.0,
    )  # fmt: skip
    assert experiments.named('paper').training.reduction == 'torch'


def test_experiments_have_names_and_say_what_they_are():
    for name, experiment in experiments.EXPERIMENTS.items():
        assert name == experiment.name
        assert experiment.about
    with pytest.raises(SoundNetError, match=r"no experiment 'papr'\. Use one of default, paper, paper5, l2,"):
        experiments.named('papr')


def test_what_goes_together_is_changed_together():
    plain = Experiment('x', '')
    on = config.override(plain, ['held_out=2', 'validate_every=3'])
    assert (on.training.held_out, on.training.validate_every) == (2, 3)
    assert config.override(on, ['validate_every=0', 'held_out=0']) == plain
    with pytest.raises(SoundNetError, match=r'validate_every .* and held_out .* must be set together'):
        config.override(plain, ['held_out=2'])
