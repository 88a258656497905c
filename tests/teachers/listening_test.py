"""Teachers that listen: a saved net labels the sound of clips."""

import numpy as np
import pytest
import soundfile

import soundnet_tf
from soundnet_tf import records, teachers
from soundnet_tf.audio import SAMPLE_RATE, encoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.prepare import local
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.stages import Settings
from soundnet_tf.spec import SOUNDNET5, thin
from soundnet_tf.teachers import View

LONG = np.random.default_rng(0).uniform(-0.5, 0.5, 23 * SAMPLE_RATE).astype(np.float32)


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    spec = thin(SOUNDNET5, 1 / 16).with_heads({'imagenet': 5, 'places': 4})
    return saved.save_net(model.build(spec), tmp_path_factory.mktemp('nets') / 'net')


def expected(net, head, waveform, times):
    """Frame by frame."""
    heard = soundnet_tf.load(net).embed(waveform, SAMPLE_RATE, head)
    return [heard.values[min(range(len(heard.times)), key=lambda at: abs(heard.times[at] - time))] for time in times]


def test_the_nearest_time_step_of_each_frame(net):
    both = teachers.parse_all([f'imagenet=hear:{net}', f'scenes=hear:{net},head=places'])
    times = (2.5, 7.5, 12.5, 17.5)
    views = [View('a', times=times, waveform=LONG), View('b', times=(2.5,), waveform=LONG[: 3 * SAMPLE_RATE])]
    for teacher, head in zip(both, ('imagenet', 'places'), strict=True):
        assert (teacher.side, teacher.kind, len(teacher.labels)) == (0, 'probabilities', {'i': 5, 'p': 4}[head[0]])
        assert teacher.source.endswith(f'head {head}')
        for view, rows in zip(views, teacher.look(views), strict=True):
            np.testing.assert_allclose(rows, expected(net, head, view.waveform, view.times), atol=1e-5)
    assert both[0].net is both[1].net


def test_a_folder_of_sounds_becomes_records(net, tmp_path):
    soundfile.write(tmp_path / 'long.wav', LONG, SAMPLE_RATE, subtype='FLOAT')
    settings = Settings(clip_s=10, min_s=2, audio_format='pcm16')
    names = ('imagenet', 'places')
    report = local.run(
        [Video('long', str(tmp_path / 'long.wav'))],
        teachers.parse_all([f'{name}=hear:{net}' for name in names]),
        tmp_path / 'out',
        settings,
    )
    assert (report.records, report.skipped) == (3, ())
    for sample, begin in zip(records.read(tmp_path / 'out'), (0, 10, 20), strict=True):
        part = LONG[begin * SAMPLE_RATE : (begin + 10) * SAMPLE_RATE]
        np.testing.assert_array_equal(np.frombuffer(sample.audio, '<i2'), encoding.pcm16(part))
        for name in names:
            wanted = expected(net, name, part, sample.frame_times)
            np.testing.assert_allclose(sample.posteriors[name], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ('spelled', 'words'),
    [
        ('objects=hear:{net}', r"^teacher objects: hear:.* has no head 'objects'\. Use head=imagenet or head=places$"),
        ('places=hear:{net},labels=x', r"invalid option 'labels=x' of hear:.*\. Use head=\.\.\.$"),
        ('places=hear:nowhere', r'^nowhere is not a saved net: there is no such folder'),
    ],
)
def test_what_is_wrong_is_one_line(net, spelled, words):
    with pytest.raises(SoundNetError, match=words):
        teachers.parse(spelled.format(net=net))
