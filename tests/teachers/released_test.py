"""The authors' layout: lists and binaries are written here, and must be read back unchanged."""

import collections
import os
import pathlib
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import teachers
from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers import View, listing

CLASSES = 5


def posteriors(count, classes=CLASSES, seed=0):
    values = np.random.default_rng(seed).gamma(0.5, size=[count, classes]) + 1e-6
    return (values / values.sum(axis=1, keepdims=True)).astype('<f4')


def write_part(folder, part, lines, values):
    """One part in the authors' layout; part '' for one that has no number."""
    block = folder / f'VGG16_TRAIN_B{part}'
    block.mkdir()
    (folder / f'frames4_{part}.txt').write_bytes(b''.join(line.encode() + b'\n' for line in lines))
    values.astype('<f4').tofile(block / 'prob')


def frames(video, count, first=1):
    return [f'{video}/{number:08d}.jpg 0' for number in range(first, first + count)]


def spelled(folder, number='%04d', name='net'):
    labels = folder / 'labels.txt'
    labels.write_text(''.join(f'{index}\n' for index in range(CLASSES)))
    return f'{name}={folder}/VGG16_TRAIN_B{number}/prob,frames={folder}/frames4_{number}.txt,labels={labels}'


def one_part(folder, lines, values=None):
    write_part(folder, '', lines, posteriors(len(lines)) if values is None else values)
    return teachers.parse(spelled(folder, ''))


@pytest.fixture
def home(tmp_path):
    """Two parts; the third video continues in the second."""
    first = [*frames('/x/frames/12/a.mp4', 4), *frames('/x/frames/12/b.mp4', 1), *frames('/x/frames/13/a.mp4', 2)]
    second = [*frames('/x/frames/13/a.mp4', 1, first=3), *frames('/x/frames/13/c', 3)]
    values = posteriors(11)
    write_part(tmp_path, '0001', first, values[:7])
    write_part(tmp_path, '0002', second, values[7:])
    return tmp_path, values


def test_rows_by_the_sound_of_a_video(home):
    folder, values = home
    teacher = teachers.parse(spelled(folder))
    assert (teacher.side, teacher.kind, teacher.labels) == (0, 'probabilities', ('0', '1', '2', '3', '4'))
    asked = {
        '12/a.mp4.mp3': values[:4],
        'frames/12/a.mp4.mp3': values[:4],
        '/x/frames/12/a.mp4': values[:4],
        '12/a.mp3': values[:4],
        '12/b.WAV': values[4:5],
        '13/a.mp4.mp3': values[5:8],
        '13/c.mp3': values[8:],
        '13/c': values[8:],
    }
    for answer, expected in zip(teacher.look([View(id, count=4) for id in asked]), asked.values(), strict=True):
        np.testing.assert_array_equal(answer, expected)
    (later,) = teacher.look([View('13/a.mp3', first=1, count=1)])
    np.testing.assert_array_equal(later, values[6:7])
    assert type(later) is np.ndarray
    assert teacher.look([View('12/a.mp3', first=4)])[0].endswith('prob for 12/a.mp3: 4 rows, but row 4 is requested')


@pytest.mark.parametrize('id', ['a.mp3', 'a.mp4.mp3', '14/a.mp3', 'mp3/12/a.mp3', '12/a.mov', '12/a.mp4/x', '2/a.mp3'])
def test_incomplete_ids_are_not_guessed(home, id):
    folder, _ = home
    (answer,) = teachers.parse(spelled(folder)).look([View(id)])
    assert answer == f'{folder}/frames4_%04d.txt: {id} is not listed. Its ids are like 12/a.mp4'


def test_an_ambiguous_id(tmp_path):
    lines = [line for video in ('a.mp4', 'a.avi', 'b', 'd/b', 'x/c', 'c') for line in frames(f'/r/x/{video}', 1)]
    teacher = one_part(tmp_path, lines)
    clear = {
        'a.mp3': 'r/x/a.avi',  # the sound of which?
        'b.mp3': 'r/x/b',  # below x, or below d
        'x/c.mp3': 'r/x/c',  # named from r, or from x
    }
    for id, clearer in clear.items():
        (answer,) = teacher.look([View(id)])
        words = f'{id} matches several videos. Use a longer id, such as {clearer}'
        assert answer == f'{tmp_path}/frames4_.txt: {words}'
    rows = teacher.look([View(id) for id in ('a.mp4.mp3', *clear.values(), 'r/x/x/c')])
    np.testing.assert_array_equal(np.concatenate(rows), posteriors(6)[[0, 1, 2, 5, 4]])


def test_one_video_alone(tmp_path):
    teacher = one_part(tmp_path, frames('a.mp4', 1))
    assert teacher.look([View('a.mp3')])[0].shape == (1, CLASSES)


VIDEO = st.lists(st.sampled_from('abc'), min_size=1, max_size=3).map('/'.join)
EXTENSION = st.sampled_from(['', '.mp4', '.avi', '.1'])
VIDEOS = st.lists(
    st.tuples(VIDEO, EXTENSION, st.integers(1, 4)), min_size=1, max_size=9, unique_by=lambda video: video[:2]
)


def made(folder, top, videos, cuts):
    """Writes videos under `top` as parts cut anywhere; gives the teacher and the rows of each folder of frames."""
    lines = [line for path, extension, count in videos for line in frames(f'{top}{path}{extension}', count)]
    values = posteriors(len(lines), seed=len(lines))
    ends = [*sorted({cut % len(lines) for cut in cuts} - {0}), len(lines)]
    for part, (start, end) in enumerate(zip([0, *ends], ends, strict=False), start=1):
        write_part(folder, f'{part:04d}', lines[start:end], values[start:end])
    rows = np.split(values, np.cumsum([count for *_, count in videos])[:-1])
    return teachers.parse(spelled(folder)), {f'{top}{p}{e}': r for (p, e, _), r in zip(videos, rows, strict=True)}


@settings(max_examples=60, deadline=None)
@given(VIDEOS, st.lists(st.integers(0, 36), max_size=3), st.sampled_from(['top/', '/top/frames/', 'ü/']))
def test_what_goes_in_comes_out(videos, cuts, top):
    with tempfile.TemporaryDirectory() as folder:
        teacher, kept = made(pathlib.Path(folder), top, videos, cuts)
        answers = teacher.look([View(f'{path}.mp3', count=4) for path in kept])
        for answer, expected in zip(answers, kept.values(), strict=True):
            np.testing.assert_array_equal(answer, expected)


@settings(max_examples=100, deadline=None)
@given(VIDEOS, VIDEO, EXTENSION, st.sampled_from(['', '.mp3']), st.sampled_from(['', '/', 'a/', '/b/a/']))
def test_never_another_video(videos, asked, extension, sound, top):
    """Whatever is requested: the answer is of a folder that ends so, and the only one that does."""
    with tempfile.TemporaryDirectory() as folder:
        teacher, kept = made(pathlib.Path(folder), top, videos, [])
        (answer,) = teacher.look([View(f'{asked}{extension}{sound}', count=4)])
        if isinstance(answer, str):
            return
        (path,) = (path for path, rows in kept.items() if np.array_equal(rows, answer))
        names = [{f'{asked}{extension}{sound}'}, {f'{asked}{extension}'}]
        names += [{asked}] if extension in ('.mp4', '.avi') else []
        names += [{f'{asked}{extension}.mp4', f'{asked}{extension}.avi'}] if sound else []
        alike = [{path for path in kept if any(f'/{path}'.endswith(f'/{name}') for name in group)} for group in names]
        assert {path} in alike


def edit(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ('lines', 'words'),
    [
        (frames('/x/a', 5), r'frames4_0001.txt: line 5 is frame 5 of one video. Keep up to 4 per video'),
        (
            [*frames('/x/a', 1), *frames('/x/b', 2), *frames('/x/a', 1)],
            r'0001.txt: line 4 has frames of a again, after .*0001.txt: line 1. Keep the frames of a',
        ),
        ([*frames('/x/a', 1), '', *frames('/x/b', 1)], r'0001.txt: line 2 is not the path of a frame, such as VID'),
        ([*frames('/x/a', 1), '/x/my video/00000001.jpg'], '0001.txt: line 2 is not the path of a frame'),
        (['00000001.jpg'], '0001.txt: line 1 is not the path of a frame'),
        (['/x/a.mp4 17'], '0001.txt: line 1 is not the path of a frame'),
        ([], '0001.txt is empty. Write a frame per line'),
    ],
)  # fmt: skip
def test_invalid_lists(tmp_path, lines, words):
    write_part(tmp_path, '0001', lines, posteriors(len(lines)))
    with pytest.raises(SoundNetError, match=f'^teacher net: .*{words}') as caught:
        teachers.parse(spelled(tmp_path))
    assert '\n' not in str(caught.value)


def test_the_line_in_a_later_part(tmp_path):
    write_part(tmp_path, '0001', frames('/x/a', 3), posteriors(3))
    write_part(tmp_path, '0002', [*frames('/x/a', 1), *frames('/x/b', 1), *frames('/x/a', 1)], posteriors(3))
    with pytest.raises(SoundNetError, match=r'0002.txt: line 3 has frames of a again, after .*0001.txt: line 1\.'):
        teachers.parse(spelled(tmp_path))
    edit(tmp_path / 'frames4_0002.txt', lambda text: b''.join(line.encode() + b'\n' for line in frames('/x/a', 3)))
    with pytest.raises(SoundNetError, match=r'0002.txt: line 2 is frame 5 of one video'):
        teachers.parse(spelled(tmp_path))
    edit(tmp_path / 'frames4_0001.txt', lambda text: b''.join(line.encode() + b'\n' for line in frames('/x/a', 4)))
    with pytest.raises(SoundNetError, match=r'0002.txt: line 1 is frame 5 of one video'):
        teachers.parse(spelled(tmp_path))


def test_invalid_binaries(home):
    folder, values = home
    block = folder / 'VGG16_TRAIN_B0002' / 'prob'
    whole = block.read_bytes()
    spoilt = {
        whole[:-4]: r'B0002/prob has 76 bytes, but 4 frames in .*0002.txt with 5 classes need 80. Copy both',
        b'': r'has 0 bytes, but .* need 80. Copy both again',
        whole + whole[:16]: r'has 96 bytes, but .*. If it has 6 classes, pass labels=FILE with their names',
        values[7:].astype('>f4').tobytes(): r'B0002/prob has no probabilities of 5 classes \(none of 4 rows checked',
        np.full([4, 5], np.nan, '<f4').tobytes(): 'has no probabilities',
        (values[7:] * np.float32(1.002)).tobytes(): 'has no probabilities',
    }
    for content, words in spoilt.items():
        block.write_bytes(content)
        with pytest.raises(SoundNetError, match=f'^teacher net: .*{words}') as caught:
            teachers.parse(spelled(folder))
        assert '\n' not in str(caught.value)


def test_one_damaged_row_affects_one_video(tmp_path):
    values = posteriors(4)
    values[1], values[2] = np.nan, 0.3
    teacher = one_part(tmp_path, [line for video in 'abcd' for line in frames(video, 1)], values)
    a, b, c, d = teacher.look([View(video) for video in 'abcd'])
    assert b == f'{tmp_path}/VGG16_TRAIN_B/prob for b: NaN or infinity in rows 0 to 0'
    assert c == f'{tmp_path}/VGG16_TRAIN_B/prob for c: rows are not probabilities, they do not sum to 1'
    np.testing.assert_array_equal(np.concatenate([a, d]), values[[0, 3]])


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('net={}/B%04d/prob,frames={}/list.txt', r'%04d must be in both of .*/B%04d/prob and .*/list.txt, or in'),
        ('net={}/C%04d/prob,frames={}/none_%04d.txt', r'no file .*none_%04d.txt, where %04d is a number such as'),
        ('net={}/none/prob,frames={}/frames4_0001.txt', r'no file .*/none/prob. Each list of frames needs'),
        ('net={}/VGG16_TRAIN_B%04d/prob', r'no such file or folder .*, or pass frames=LIST for rows of many videos'),
        ('net={}/x,frames={}/y,kind=logits', r"invalid option 'kind=logits' of .*/x. Use frames=..., labels=...$"),
    ],
)  # fmt: skip
def test_mistakes_are_reported(home, text, words):
    folder, _ = home
    labels = ',labels=' + spelled(folder).partition('labels=')[2]
    with pytest.raises(SoundNetError, match=f'^teacher net: .*{words}') as caught:
        teachers.parse(text.format(folder, folder) + (labels if 'kind' not in text else ''))
    assert '\n' not in str(caught.value)


def test_every_part_has_both_files(home):
    folder, _ = home
    (folder / 'frames4_0002.txt').rename(folder / 'away')
    with pytest.raises(SoundNetError, match=r'no file .*frames4_0002.txt. Each list of frames needs its binary'):
        teachers.parse(spelled(folder))
    (folder / 'away').rename(folder / 'frames4_0002.txt')
    (folder / 'VGG16_TRAIN_B0001' / 'prob').unlink()
    with pytest.raises(SoundNetError, match=r'no file .*B0001/prob. Each list of frames needs its binary'):
        teachers.parse(spelled(folder))
    (folder / 'VGG16_TRAIN_B0002' / 'prob').unlink()
    with pytest.raises(SoundNetError, match=r'B0001/prob \(and 1 more\)\. Each list'):
        teachers.parse(spelled(folder))


def test_the_classes_of_the_authors_teachers(tmp_path):
    """Their number is known by name; another teacher has to say."""
    for name, classes in (('imagenet', 1000), ('places', 401)):
        folder = tmp_path / name
        folder.mkdir()
        write_part(folder, '', frames('/x/a', 2), posteriors(2, classes))
        text = spelled(folder, '', name).partition(',labels')[0]
        teacher = teachers.parse(text)
        assert (len(teacher.labels), teacher.look([View('a', count=2)])[0].shape) == (classes, (2, classes))
        assert not teacher.labels[0].startswith('class')
    with pytest.raises(
        SoundNetError, match=r'unknown number of classes, known are imagenet \(1000\) and places \(401\)'
    ):
        teachers.parse(text.replace('places=', 'net='))


def test_parts_have_numbers_of_four_digits(home):
    folder, _ = home
    for stray in ('frames4_01.txt', 'frames4_0001_old.txt', 'frames4_abcd.txt'):
        (folder / stray).write_text('dear sir')
    assert len(teachers.parse(spelled(folder)).store.parts) == 2
    odd = folder / 'a[b]'
    odd.mkdir()
    write_part(odd, '0003', frames('/x/a', 1), posteriors(1))
    assert len(teachers.parse(spelled(odd)).store.parts) == 1


def test_the_source_identifies_the_file(home, tmp_path_factory):
    folder, values = home
    source = teachers.parse(spelled(folder)).source
    assert source.startswith('VGG16_TRAIN_B%04d/prob (outline ')
    assert ', frames frames4_%04d.txt (sha256 ' in source
    elsewhere = tmp_path_factory.mktemp('elsewhere') / 'copy'
    folder.rename(elsewhere)
    assert teachers.parse(spelled(elsewhere)).source == source
    (elsewhere / 'VGG16_TRAIN_B0002' / 'prob').write_bytes(values[[8, 7, 9, 10]].tobytes())
    changed = teachers.parse(spelled(elsewhere)).source
    assert changed != source
    edit(elsewhere / 'frames4_0002.txt', lambda text: text.replace(b'13/c', b'13/d'))
    assert len({source, changed, teachers.parse(spelled(elsewhere)).source}) == 3


def test_both_teachers_share_the_lists(home, monkeypatch):
    folder, _ = home
    listing.read.cache_clear()
    read, runs = collections.Counter(), listing._runs
    monkeypatch.setattr(listing, '_runs', lambda lists: read.update(['once']) or runs(lists))
    one, other = (teachers.parse(spelled(folder, name=name)) for name in ('one', 'other'))
    assert one.store.listing is other.store.listing
    assert read['once'] == 1
    edit(folder / 'frames4_0002.txt', lambda text: text.replace(b'13/c', b'13/d'))
    assert isinstance(teachers.parse(spelled(folder)).look([View('13/c')])[0], str), 'lists that changed are read again'
