import os
import resource

import pytest
import tensorflow as tf

from soundnet_tf.errors import SoundNetError
from soundnet_tf.training.checkpoints import Checkpoints


@pytest.fixture
def kept(tmp_path):
    """Five saves of a variable that counts them, and of a larger one."""
    count, ballast = tf.Variable(0), tf.Variable(tf.zeros([1000]))
    checkpoints = Checkpoints(tf.train.Checkpoint(count=count, ballast=ballast), tmp_path / 'checkpoints')
    for step in range(1, 6):
        count.assign(step)
        checkpoints.save(10 * step)
    count.assign(-1)
    return checkpoints, count, tmp_path / 'checkpoints'


def test_the_last_few_are_kept(kept):
    checkpoints, count, folder = kept
    assert checkpoints.steps() == [30, 40, 50]
    assert str(checkpoints) == ', '.join(f'{folder}/step-{step}' for step in (30, 40, 50))
    assert checkpoints.restore() == 50
    assert count.numpy() == 5


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    'harm',
    [
        lambda folder: spoil(folder / 'step-50.data-00000-of-00001'),
        lambda folder: spoil(folder / 'step-50.index'),
        lambda folder: (folder / 'step-50.data-00000-of-00001').unlink(),
        lambda folder: (folder / 'step-50.index').write_bytes(b''),
        lambda folder: os.truncate(folder / 'step-50.data-00000-of-00001', 1000),
    ],
)
def test_a_damaged_checkpoint_is_reported_and_skipped(kept, harm, capsys):
    checkpoints, count, folder = kept
    harm(folder)
    assert checkpoints.restore() == 40
    assert count.numpy() == 4
    said = capsys.readouterr().out
    assert said.startswith(f'{folder}/step-50: damaged (')
    assert said.endswith('). Resuming from the previous checkpoint\n')
    assert said.count('\n') == 1
    # Its step comes again, and is saved again.
    assert checkpoints.steps() == [30, 40]
    count.assign(5)
    checkpoints.save(50)
    count.assign(-1)
    assert checkpoints.restore() == 50
    assert count.numpy() == 5


def test_all_damaged(kept):
    checkpoints, _, folder = kept
    for step in (30, 40, 50):
        (folder / f'step-{step}.data-00000-of-00001').unlink()
    with pytest.raises(SoundNetError, match=r'no checkpoint can be read\. Remove .* to start over'):
        checkpoints.restore()


def test_checkpoints_of_another_model(kept):
    _, _, folder = kept
    other = tf.train.Checkpoint(count=tf.Variable(0), more=tf.Variable(1.0))
    with pytest.raises(SoundNetError, match=r'no checkpoint can be read'):
        Checkpoints(other, folder).restore()


def test_only_the_chief_writes(tmp_path):
    checkpoints = Checkpoints(tf.train.Checkpoint(count=tf.Variable(0)), tmp_path / 'checkpoints', chief=False)
    checkpoints.save(1)
    assert not (tmp_path / 'checkpoints').exists()
    assert str(checkpoints) == 'none'
    assert checkpoints.restore() is None


def test_no_room_left(kept):
    """A limit on the size of files stands for a full disk."""
    checkpoints, _, folder = kept
    (folder / 'step-7_temp').mkdir()  # of a run that was killed
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(SoundNetError) as full:
            checkpoints.save(60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(full.value).startswith(f'{folder}/step-60: cannot be written (')
    assert str(full.value).endswith(
        'File too large). Free some space or fix the path, and run the same command to resume'
    )
    assert checkpoints.restore() == 50
    assert not list(folder.glob('*_temp'))
    assert checkpoints.steps() == [30, 40, 50]
