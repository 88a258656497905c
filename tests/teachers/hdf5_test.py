import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import keras
import numpy as np
import pytest

from soundnet_tf import teachers
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.teachers import NetworkTeacher, View

h5py = pytest.importorskip('h5py')
SPOILT = 16


def written(path, **datasets):
    with h5py.File(path, 'w') as file:
        for name, values in datasets.items():
            file[name] = values
    return path


@pytest.fixture
def kept(tmp_path):
    """Two videos, one in a folder, beside what else people keep in such a file."""
    return written(
        tmp_path / 'posteriors.h5',
        **{
            'about': [b'a', b'b', b'c'],
            'videos/a.mp4': np.eye(3, dtype=np.float16),
            'videos/b': np.full([1440, 3], 1 / 3, np.float32),
            'wide': np.full([2, 4], 1 / 4),
        },
    )


def test_a_dataset_per_video(kept):
    teacher = teachers.parse(f'places={kept}')
    assert (teacher.side, teacher.kind, len(teacher.labels)) == (0, 'probabilities', 3)
    a, sound, again, film = teacher.look(
        [
            View('videos/a.mp4', count=2),
            View('videos/a.mp4.mp3', first=1),
            View('/videos/a.mp4', count=9),
            View('videos/b.mp3', first=1436, count=4),
        ]
    )
    np.testing.assert_array_equal(a, np.eye(3)[:2])
    np.testing.assert_array_equal(sound, np.eye(3)[1:2])
    np.testing.assert_array_equal(again, np.eye(3))
    assert film.shape == (4, 3)
    assert film.dtype == a.dtype == np.float32


def test_logits_and_labels(tmp_path):
    (tmp_path / 'names.txt').write_text('a\nb\n')
    path = written(tmp_path / 'x.HDF5', **{'1': np.zeros([2, 3]), '2': np.array([[3, -1]])})
    teacher = teachers.parse(f'net={path},labels={tmp_path}/names.txt')
    assert (teacher.kind, teacher.labels) == ('logits', ('a', 'b'))
    np.testing.assert_array_equal(teacher.look([View('2')])[0], [[3, -1]])


def test_videos_that_cannot_be_used(tmp_path, kept):
    with h5py.File(kept, 'a') as file:
        file['nan'] = [[np.nan, 0, 1], [0, 0, 1]]
        file['sum'] = [[0.5, 0.5, 0.5]]
        file['none'] = h5py.Empty('f')
        file['gone'] = h5py.SoftLink('/nowhere')
    teacher = teachers.parse(f'places={kept}')
    for id, words in {
        'c.mp4': 'no dataset c.mp4 or c',
        'videos': 'videos is a group, not [frames, classes] of numbers',
        'about': 'about: shape [3], not [frames, classes] of numbers',
        'wide': 'wide: shape [2, 4], not [frames, 3]',
        'none': 'none: shape [], not [frames, classes] of numbers',
        'nan': 'nan: NaN or infinity in rows 0 to 0',
        'sum': 'sum: rows are not probabilities, they do not sum to 1',
        'gone': 'a link, possibly to another file. Copy its target into this file)',
    }.items():
        (answer,) = teacher.look([View(id)])
        assert answer.startswith(str(kept))
        assert answer.endswith(words)
    np.testing.assert_array_equal(teacher.look([View('nan', first=1)])[0], [[0, 0, 1]])
    assert ': 3 rows, but row 3 is requested' in teacher.look([View('videos/a.mp4', first=3)])[0]


def test_other_files_are_never_opened(tmp_path, kept):
    """Links, virtual datasets and raw values may be in any file of this machine."""
    with h5py.File(tmp_path / 'secret.h5', 'w') as file:
        file['rows'] = file['inner/rows'] = np.full([2, 3], 1 / 3)
    np.full([2, 3], 1 / 3).tofile(tmp_path / 'secret.bin')
    layout = h5py.VirtualLayout((2, 3), float)
    layout[:] = h5py.VirtualSource(tmp_path / 'secret.h5', 'rows', (2, 3))
    with h5py.File(kept, 'a') as file:
        file['linked'] = h5py.ExternalLink(tmp_path / 'secret.h5', '/rows')
        file['folder'] = h5py.ExternalLink(tmp_path / 'secret.h5', '/inner')
        file.create_virtual_dataset('virtual', layout)
        file.create_dataset('raw', (2, 3), float, external=[(str(tmp_path / 'secret.bin'), 0, 48)])
    teacher = teachers.parse(f'places={kept}')
    for id in ('linked', 'folder/rows'):
        (answer,) = teacher.look([View(id)])
        assert answer == (
            f'{kept}: {id} cannot be read (a link, possibly to another file. Copy its target into this file)'
        )
    for id in ('virtual', 'raw'):
        (answer,) = teacher.look([View(id)])
        assert answer == f'{kept}: {id} has its values in other files. Copy them into this one'


def test_files_that_cannot_be_used(tmp_path, kept):
    half = tmp_path / 'half.h5'
    half.write_bytes(kept.read_bytes()[:-99])
    text = tmp_path / 'text.hdf5'
    text.write_text('dear sir')
    words = r'teacher places: .* cannot be read as HDF5 \(.+\)\. Write or copy it again'
    for path in (half, text):
        with pytest.raises(SoundNetError, match=words) as caught:
            teachers.parse(f'places={path}')
        assert '\n' not in str(caught.value)
    flat = written(tmp_path / 'flat.h5', flat=[1.0, 2.0])
    with pytest.raises(
        SoundNetError, match=r'has no dataset per video of shape \[frames, classes\]: .*flat: shape \[2\]'
    ):
        teachers.parse(f'places={flat}')
    empty = written(tmp_path / 'empty.h5')
    with pytest.raises(SoundNetError, match=r'empty.h5 has no dataset per video of shape \[frames, classes\]$'):
        teachers.parse(f'places={empty}')


def test_damage_in_the_middle_is_reported(tmp_path):
    """Wherever bytes are spoiled, a teacher is refused or looks at its video or says why not."""
    path = tmp_path / 'x.h5'
    with h5py.File(path, 'w') as file:
        file.create_dataset('d/a', data=np.full([9, 3], 1 / 3), chunks=(3, 3), compression='gzip', fletcher32=True)
    whole, seen = path.read_bytes(), set()
    for at in range(0, len(whole) - SPOILT, 16):
        path.write_bytes(whole[:at] + b'\xa5' * SPOILT + whole[at + SPOILT :])
        try:
            (answer,) = teachers.parse(f'places={path},kind=probabilities').look([View('d/a', count=9)])
        except SoundNetError:
            seen.add('refused')
            continue
        seen.add('said' if isinstance(answer, str) else 'seen')
        assert isinstance(answer, str) or np.allclose(answer, 1 / 3)
    assert seen == {'refused', 'said', 'seen'}


def test_networks_and_posteriors_are_distinguished(tmp_path):
    """Keras wrote whole networks, and writes weights, with the same extension."""
    net = keras.Sequential([keras.Input([8, 8, 3]), keras.layers.Flatten(), keras.layers.Dense(3, 'softmax')])
    net.save(tmp_path / 'net.h5')
    net.save_weights(tmp_path / 'net.weights.h5')
    assert isinstance(teachers.parse(f'places={tmp_path}/net.h5'), NetworkTeacher)
    written(tmp_path / 'old.h5', **{'dense/kernel': np.zeros([4, 3])})
    with h5py.File(tmp_path / 'old.h5', 'a') as file:
        file.attrs['layer_names'] = ['dense']
    for name in ('net.weights.h5', 'old.h5'):
        with pytest.raises(
            SoundNetError, match=f'{name} holds weights of a network, not posteriors. Save the whole network'
        ):
            teachers.parse(f'places={tmp_path}/{name}')


def test_the_source_identifies_the_file(tmp_path, kept):
    source = teachers.parse(f'places={kept}').source
    assert source.startswith('posteriors.h5 (outline ')
    (tmp_path / 'elsewhere').mkdir()
    copy = tmp_path / 'elsewhere' / 'posteriors.h5'
    copy.write_bytes(kept.read_bytes())
    assert teachers.parse(f'places={copy}').source == source
    with h5py.File(copy, 'a') as file:
        file['videos/a.mp4'][0] = [0, 1, 0]
    assert teachers.parse(f'places={copy}').source != source


def test_without_h5py(kept, monkeypatch):
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(MissingTool, match=r"posteriors.h5 needs h5py, which is not installed: pip install 'h5py'"):
        teachers.parse(f'places={kept}')
