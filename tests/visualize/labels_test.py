"""Labels come from folders or a CSV."""

import pathlib

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile
from soundnet_tf.visualize import labels


def found(*names, top='/x'):
    return [SoundFile(f'{top}/{name}', pathlib.PurePath(name)) for name in names]


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['dog/1.wav', 'rain/2.wav', 'rain/deep/3.wav'], ['dog', 'rain', 'rain']),
        (['001 - Dog bark/1.ogg', '002 - Rain/1.ogg'], ['Dog bark', 'Rain']),
        (['dog/1.wav', '2.wav'], [None, None]),
        (['1.wav', '2.wav'], [None, None]),
        (['dog/1.wav', 'dog/2.wav'], [None, None]),
    ],
)
def test_of_folders(names, expected):
    assert labels.of_folders(found(*names)) == expected


def test_of_a_csv(tmp_path):
    (tmp_path / 'labels.csv').write_text(
        'label,path,fold\ndog,sounds/1.wav,1\n"rain, heavy",sounds/2.wav,2\n,sounds/4.wav,2\n'
    )
    there = labels.of_csv(tmp_path / 'labels.csv', found('1.wav', '2.wav', '3.wav', '4.wav', top=f'{tmp_path}/sounds'))
    assert there == ['dog', 'rain, heavy', None, None]


def test_a_list_without_labels_is_a_list(tmp_path):
    (tmp_path / 'labels.csv').write_text('path,label\n1.wav,\n')
    assert labels.of_csv(tmp_path / 'labels.csv', found('1.wav', top=str(tmp_path))) == [None]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (None, r'labels\.csv: cannot be read \(No such file or directory\)\. Pass a CSV'),
        ('path,label\na,' + 'x' * 200_000, r'labels\.csv: cannot be read \(line 2 has a cell of more'),
        ('name,kind\na,b\n', r"labels\.csv: cannot be read \(no key 'path'\)\. Pass a CSV with the columns path"),
        (
            'path,label\nelsewhere.wav,dog\n',
            r'none of the sounds is listed, for example .*1\.wav\. Use paths relative to the CSV',
        ),
    ],
)
def test_invalid_label_csv(tmp_path, text, words):
    if text:
        (tmp_path / 'labels.csv').write_text(text)
    with pytest.raises(SoundNetError, match=words):
        labels.of_csv(tmp_path / 'labels.csv', found('1.wav', top=str(tmp_path)))
