import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import pytest

from soundnet_tf import teachers
from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers import View
from soundnet_tf.teachers.store import names


def ready(folder, spelled='places={}', **files):
    folder.mkdir(exist_ok=True)
    for name, values in files.items():
        np.save(folder / f'{name}.npy', values)
    return teachers.parse(spelled.format(folder))


def rows(count, classes=3):
    return np.full([count, classes], 1 / classes)


def test_a_folder(tmp_path):
    teacher = ready(tmp_path / 'p', **{'a.mp4': rows(3), 'b.mp4': np.eye(3, dtype=np.float16)})
    (tmp_path / 'p' / 'sub').mkdir()
    np.save(tmp_path / 'p' / 'sub' / 'größe.mp4.npy', rows(1))
    assert (teacher.side, teacher.kind, teacher.source) == (0, 'probabilities', str(tmp_path / 'p'))
    a, b, c = teacher.look([View(id, count=3) for id in ('a.mp4', 'b.mp4', 'sub/größe.mp4')])
    np.testing.assert_allclose(a, rows(3), rtol=1e-6)
    np.testing.assert_array_equal(b, np.eye(3))
    assert c.dtype == np.float32
    assert c.shape == (1, 3), 'as many as there are: whoever asks says what is missing'


def test_logits(tmp_path):
    teacher = ready(tmp_path / 'p', **{'a': np.array([[1, -2, 3]])})
    assert teacher.kind == 'logits'
    np.testing.assert_array_equal(teacher.look([View('a')])[0], [[1, -2, 3]])


@pytest.mark.parametrize(
    ('id', 'expected'),
    [
        ('a.mp3', ('a.mp3', 'a')),
        ('d/a.mp4.MP3', ('d/a.mp4.MP3', 'd/a.mp4')),
        ('/d.mp4/a', ('d.mp4/a',)),
        ('v1.5', ('v1.5',)),
        ('d/.mp3', ('d/.mp3',)),
        ('mp3', ('mp3',)),
    ],
)
def test_names(id, expected):
    assert names(id) == expected


def test_with_and_without_the_extension_of_a_file(tmp_path):
    whole, less, version = np.eye(3)[[0]], np.eye(3)[[1]], np.eye(3)[[2]]
    teacher = ready(tmp_path / 'p', **{'a.mp4': whole, 'a': less, 'b.mp4': whole, 'v1': version})
    answers = teacher.look([View(id) for id in ('a.mp4', 'a.mp3', 'a', 'b.mp4.mp3')])
    for answer, expected in zip(answers, (whole, less, less, whole), strict=True):
        np.testing.assert_array_equal(answer, expected)
    folder = tmp_path / 'p'
    assert teacher.look([View('b.mp3')]) == [f'no file {folder}/b.mp3.npy or {folder}/b.npy']
    assert teacher.look([View('v1.5')]) == [f'no file {folder}/v1.5.npy'], 'its name continues after the dot'


def test_only_the_rows_of_a_clip_are_read_and_checked(tmp_path):
    film = np.eye(3, dtype=np.float32)[np.arange(1440) % 3]
    film[8:12] = np.nan
    film[13] = 0.5
    teacher = ready(tmp_path / 'p', **{'a.mp4': rows(1), 'film': film})
    assert isinstance(teacher.store.find('film').values, np.memmap)
    for first in (0, 4, 1436):
        (answer,) = teacher.look([View('film', first=first, count=4)])
        np.testing.assert_array_equal(answer, film[first : first + 4])
        assert type(answer) is np.ndarray, 'not a map of a file that may be gone'
    path = f'{tmp_path}/p/film.npy'
    assert teacher.look([View('film', first=first, count=4) for first in (9, 12, 1440)]) == [
        f'{path}: NaN or infinity in rows 9 to 12',
        f'{path}: rows are not probabilities, they do not sum to 1',
        f'{path}: 1440 rows, but row 1440 is requested',
    ]
    (last,) = teacher.look([View('film', first=1438, count=4)])
    assert last.shape == (2, 3)


def test_files_that_cannot_be_used(tmp_path):
    folder = tmp_path / 'p'
    folder.mkdir()
    (folder / 'names.txt').write_text('a\nb\nc\n')
    bad = {
        'flat': (np.zeros(3), r'shape \[3\], not \[frames, classes\] of numbers'),
        'wide': (rows(2, 4), r'shape \[2, 4\], not \[frames, 3\]'),
        'nan': (np.full([2, 3], np.nan), ': NaN or infinity'),
        'huge': (np.full([2, 3], 1e300), ': NaN or infinity'),
        'text': (np.array([['a', 'b', 'c']]), 'of numbers'),
        'sum': (np.full([2, 3], 0.9), 'do not sum to 1'),
        'none': (np.zeros([0, 3]), r'shape \[0, 3\]'),
    }
    teacher = ready(
        folder,
        'places={},labels=' + f'{folder}/names.txt,kind=probabilities',
        good=rows(2),
        **{name: values for name, (values, _) in bad.items()},
    )
    (folder / 'half.npy').write_bytes((folder / 'good.npy').read_bytes()[:-9])
    (folder / 'letter.npy').write_text('dear sir')
    (folder / 'empty.npy').write_text('')
    with (folder / 'archive.npy').open('wb') as file:
        np.savez(file, rows(2))
    np.save(folder / 'objects.npy', np.array([[{}]]), allow_pickle=True)
    for name in (*bad, 'half', 'letter', 'empty', 'archive', 'objects', 'missing', '/missing', 'good.npy/x'):
        (answer,) = teacher.look([View(name)])
        assert isinstance(answer, str), name
        assert str(folder) in answer
        assert '\n' not in answer
    for name, (_, words) in bad.items():
        assert pytest.raises(AssertionError, match=words).matches(AssertionError(teacher.look([View(name)])[0]))
    assert teacher.look([View('/missing')]) == [f'no file {folder}/missing.npy']


def test_an_id_never_leads_out_of_the_folder(tmp_path):
    np.save(tmp_path / 'secret.npy', rows(2))
    teacher = ready(tmp_path / 'p', **{'a.mp4': rows(2)})
    for id in ('../secret', '/../secret', 'x/../../secret.mp4'):
        assert teacher.look([View(id)]) == [f'the id {id!r} leads out of a folder. Use a CSV with an id column']


def test_other_classes_than_those_of_labels(tmp_path):
    (tmp_path / 'names.txt').write_text('a\nb\n')
    with pytest.raises(SoundNetError, match=r'of shape \[frames, 2\]: .*a.npy: shape \[2, 3\]'):
        ready(tmp_path / 'p', 'places={},labels=' + f'{tmp_path}/names.txt', a=rows(2))


def test_the_kind_is_not_guessed_from_ambiguous_values(tmp_path):
    """A spoilt video among good ones must not make logits of their probabilities."""
    folder = tmp_path / 'p'
    doubtful = np.full([2, 3], 0.9)
    with pytest.raises(
        SoundNetError, match=r'a.npy has values from 0 to 1 that do not sum to 1. Pass kind=logits or kind=prob'
    ):
        ready(folder, a=doubtful)
    for name in 'bcdefgh':
        np.save(folder / f'{name}.npy', doubtful)
    teacher = ready(folder, sound=rows(2))
    assert teacher.kind == 'probabilities'
    assert teachers.parse(f'places={folder},kind=logits').kind == 'logits'


HEADS = {
    'open': b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3",
    'deep': b'(' * 900,
    'huge': b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 3), }",
    'text': b'\xff\xfe',
}


@pytest.mark.parametrize('head', HEADS)
def test_a_damaged_head_concerns_one_video(tmp_path, head):
    teacher = ready(tmp_path / 'p', good=rows(1))
    text = HEADS[head]
    for name in ('a', 'bad'):
        # The first of all is tried to find the number of classes.
        (tmp_path / 'p' / f'{name}.npy').write_bytes(b'\x93NUMPY\x01\0' + len(text).to_bytes(2, 'little') + text)
    for known in (teacher, teachers.parse(f'places={tmp_path / "p"}')):
        good, bad = known.look([View('good'), View('bad')])
        assert bad.startswith(f'{tmp_path}/p/bad.npy: cannot be read (')
        assert good.shape == (1, 3)


@pytest.mark.parametrize('first', ['background', 'Background'])
def test_labels_with_a_background_that_there_is_not(tmp_path, first):
    (tmp_path / 'names.txt').write_text('\n'.join([first, *(f'class {number}' for number in range(1000))]))
    words = (
        rf'^teacher imagenet: .*/p has 1,000 classes, but .*names\.txt has 1,001 names: the first, {first}, '
        r'is not a class of the teacher\. Remove this line$'
    )
    with pytest.raises(SoundNetError, match=words):
        ready(tmp_path / 'p', f'imagenet={{}},labels={tmp_path}/names.txt', a=rows(2, 1000))
    run = lambda frames: rows(len(frames), 1000)  # noqa: E731
    with pytest.raises(SoundNetError, match=words):
        teachers.network_teacher('imagenet', run, 8, source='/p', options={'labels': str(tmp_path / 'names.txt')})
