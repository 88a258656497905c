import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers import options


@pytest.fixture
def ends(monkeypatch):
    monkeypatch.setattr(options, 'END_BYTES', 4)


@pytest.mark.parametrize('other', [b'0x23456789', b'012345678x', b'01234567899', b'', b'0123'])
def test_an_outline_depends_on_ends_and_sizes(tmp_path, ends, other):
    one, two = tmp_path / 'one', tmp_path / 'two'
    one.write_bytes(b'0123456789')
    two.write_bytes(other)
    assert options.outline([one]) != options.outline([two])
    assert options.outline([one, two]) != options.outline([two, one])


def test_an_outline_reads_only_the_ends(tmp_path, ends):
    """The price of not reading 32 GB: the bytes between are not compared, nor is the file's name."""
    one, two = tmp_path / 'one', tmp_path / 'two'
    one.write_bytes(b'0123456789')
    two.write_bytes(b'0123xx6789')
    assert options.outline([one]) == options.outline([two])


def test_sizes_count_where_ends_are_the_same(tmp_path, ends):
    one, two = tmp_path / 'one', tmp_path / 'two'
    one.write_bytes(bytes(10))
    two.write_bytes(bytes(11))
    assert options.outline([one]) != options.outline([two])


@pytest.mark.parametrize('wrong', ['\0', 'a\x1b[31m', 'a\x0bb', 'a\x9fb'])
def test_class_names_have_no_control_characters(tmp_path, wrong):
    path = tmp_path / 'names.txt'
    path.write_text(f'crane\ncrane\nn01\tdog\r\nå\xa0b\n{wrong}\n')
    with pytest.raises(SoundNetError, match=r'names\.txt: line 5 has the control character .*\. Remove it$'):
        options.read_labels('places', {'labels': str(path)})
    path.write_text(path.read_text().replace(wrong, 'cat'))
    assert options.read_labels('places', {'labels': str(path)}) == ('crane', 'crane', 'n01\tdog', 'å\xa0b', 'cat')
