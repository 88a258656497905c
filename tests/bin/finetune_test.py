"""The command soundnet-finetune: exit statuses and messages."""

import subprocess
import sys

import pytest

from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import thin_spec
from tests.evaluation.made import folders


def finetune(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.finetune', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_saved_net_becomes_a_classifier(tmp_path):
    folders(tmp_path / 'pitches', clips=1)
    saved.save_net(model.build(thin_spec(SOUNDNET5)), tmp_path / 'net')
    flags = [f'--model={tmp_path / "net"}', '--name=bands', '--test_fold=2', '--mix', '--epochs=2', '--crop_s=1.2']
    done = finetune(f'--data={tmp_path / "pitches"}', f'--out={tmp_path / "run"}', *flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ['bands', 'fold', '1', 'fold', '2', 'all']
    assert 'Confusion matrix of the test clips' in lines
    assert lines[-1].endswith(f'% (epoch 2); the net is in {tmp_path / "run" / "net"}')
    assert lines[-1].startswith('test accuracy ')
    assert (tmp_path / 'run' / 'net' / 'net.tflite').is_file()
    assert (tmp_path / 'run' / 'net' / 'labels' / 'bands.txt').read_text() == 'high\nlow\nmiddle\n'
    assert saved.read_facts(tmp_path / 'run' / 'net')['origin']['recipe']['mix'] is True


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--out=x'], '--data is missing. See'),
        (
            ['--data=x', '--out=y', '--recipe=mine'],
            'value should be one of <authors|from_scratch|from_original|from_original_long>',
        ),
        (['--data=nowhere', '--out=y'], 'nowhere: no such file or folder'),
        (['--data=x', '--out=y', '--epochs=0'], 'epochs must be at least 1, got 0'),
        (['--data=x', '--out=y', '--model=z', '--width=0.5'], '--model has its own layers: leave out --net and'),
        (['--data=x', '--out=y', 'z'], "unexpected argument 'z'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, words):
    done = finetune(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ''


def test_a_bad_sound_is_one_line_and_exit_2(tmp_path):
    folders(tmp_path / 'pitches', clips=1)
    (tmp_path / 'pitches' / 'low' / '1-110-A.wav').write_text('dear sir')
    done = finetune(f'--data={tmp_path / "pitches"}', f'--out={tmp_path / "run"}', '--net=soundnet5', '--width=0.0625')
    assert done.returncode == 2
    assert '1-110-A.wav: not a sound file' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr
