"""Takes and copies of a sound come from one recording; other sounds do not."""

import os

import pytest

from soundnet_tf.inference import files
from soundnet_tf.visualize import recordings


def numbers(folder, **contents):
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return recordings.of_sounds(
        [files.SoundFile(str(folder / name), (folder / name).relative_to(folder)) for name in contents]
    ).tolist()


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (('d/1-4211-A.ogg', 'd/1-4211-B.ogg', 'd/1-4212-A.ogg'), [0, 0, 1]),
        (('1-4211-A-12.wav', '1-4211-C-12.wav', '1-4211-A-7.wav'), [0, 0, 1]),
        (('rain.wav', 'rain.ogg', 'rain_B.wav'), [0, 0, 1]),
        (('a/x-A.wav', 'b/x-A.wav'), [0, 1]),
        (('take-1.wav', 'take-2.wav', 'A.wav', 'B.wav', 'x-AB.wav', 'x-AC.wav'), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_names(names, expected, tmp_path):
    assert numbers(tmp_path, **{name: name + 'x' * index for index, name in enumerate(names)}) == expected


def test_copies(tmp_path):
    """Under whatever name, and of a take too."""
    contents = {'1-9-A.wav': 'first', '1-9-B.wav': 'other', 'copies/dog.wav': 'other', 'cat.wav': 'third'}
    assert numbers(tmp_path, **contents) == [0, 0, 0, 1]


def test_an_unreadable_file_is_its_own_recording(tmp_path):
    (tmp_path / 'loop.wav').symlink_to('loop.wav')
    sounds = [files.SoundFile(str(tmp_path / name), tmp_path / name) for name in ('loop.wav', 'missing.wav')]
    assert recordings.of_sounds(sounds).tolist() == [0, 1]
    assert not os.path.exists(sounds[0].path)
