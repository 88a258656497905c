"""Damaged files of every kind: the right answer, or one line."""

import pytest

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from tests.readers import READERS
from tools import fuzz

MUTATIONS = 200


@pytest.mark.slow
@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_damage_ends_in_one_line(reader, tmp_path, capsys):
    path = reader.make(tmp_path)
    data, refused = path.read_bytes(), 0
    assert fuzz.outcome(reader.read, path) == '', 'the undamaged file is read'
    for seed in range(MUTATIONS):
        damaged = fuzz.mutated(data, seed)
        path.write_bytes(damaged)
        try:
            refusal = fuzz.outcome(reader.read, path)
        except Exception as error:
            error.add_note(f'seed {seed} of {reader.name}: {damaged[:300]!r}')
            raise
        assert refusal or not reader.is_hashed or damaged == data, f'seed {seed}'
        refused += bool(refusal)
    assert capsys.readouterr().err == ''
    path.write_bytes(data)
    assert fuzz.outcome(reader.read, path) == ''


def test_the_check_reports_faults():
    """The check itself: two lines, or another exception, are faults."""

    def two_lines(_):
        raise SoundNetError('a\nb')

    with pytest.raises(AssertionError, match='not one line'):
        fuzz.outcome(two_lines, None)
    with pytest.raises(KeyError):
        fuzz.outcome(lambda _: {}['x'], None)
    assert fuzz.outcome(lambda path: storage.read_json(path), 'nowhere').startswith('nowhere: cannot be read (')


def test_mutations_are_many_and_the_same_each_time():
    data = bytes(range(256)) * 4
    found = [fuzz.mutated(data, seed) for seed in range(100)]
    assert found == [fuzz.mutated(data, seed) for seed in range(100)]
    assert len(set(found)) > 95
    assert all(fuzz.mutated(b'', seed) is not None for seed in range(100))
