"""numpy's files: what numpy writes is read as numpy reads it, and what is forged takes no memory."""

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from soundnet_tf.errors import SoundNetError, WeightsMismatch
from soundnet_tf.storage import arrays

KINDS = st.sampled_from(['<f4', '>f8', '<f2', '|b1', '<i8', '|u1', '<U3', '|S2'])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('arrays')


@settings(max_examples=30)
@given(arrays_of.arrays(KINDS, arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)), st.booleans())
def test_arrays_come_back_as_numpy_gives_them(folder, array, is_fortran):
    array = np.asfortranarray(array) if is_fortran else array
    np.save(folder / 'x.npy', array)
    np.savez_compressed(folder / 'x.npz', one=array, two=array)
    for read in (
        arrays.read_npy(folder / 'x.npy'),
        arrays.read_npy(folder / 'x.npy', mapped=True),
        arrays.read_npz(folder / 'x.npz')['one'],
        arrays.read_npz(folder / 'x.npz', keys=['two'])['two'],
    ):
        assert (read.shape, read.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(read, array)
        assert read.flags.f_contiguous == array.flags.f_contiguous
    header = arrays.npz_headers(folder / 'x.npz')['two']
    assert (header.shape, header.dtype, header.nbytes) == (array.shape, array.dtype, array.nbytes)


def npy(header, data=b'\0' * 8, version=1):
    length = struct.pack('<H' if version == 1 else '<I', len(header))
    return b'\x93NUMPY' + bytes([version, 0]) + length + header.encode() + data


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"


@pytest.mark.parametrize(
    'header',
    [
        PLAIN,
        '{"shape":(2),"descr":"<f4","fortran_order":False}',  # of other writers
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }\n",  # of Python 2
    ],
)
@pytest.mark.parametrize('version', [1, 2])
def test_headers_of_other_writers(tmp_path, header, version):
    (tmp_path / 'x.npy').write_bytes(npy(header, version=version))
    assert arrays.read_npy(tmp_path / 'x.npy').tolist() == [0, 0]


FORGED = {
    b'': 'not a numpy array',
    b'junk, more junk': 'not a numpy array',
    npy(PLAIN, b'\0' * 7): 'an array [2] of float32 does not fit into',
    npy(PLAIN.replace('2', '9' * 30)): f'an array [{"9" * 30}] of float32 does not fit into',
    npy(PLAIN.replace('2', '9' * 12)): f'an array [{"9" * 12}] of float32 does not fit into',
    npy(PLAIN.replace('<f4', '<U500000000').replace('2,', '')): 'an array [] of <U500000000 does not fit into',
    npy(PLAIN.replace("'<f4'", "[('a', '<f4')]")): "not an array of numbers, but \"{'descr': [(",
    npy(PLAIN.replace('<f4', '|O')): 'not an array of numbers, but ',
    npy(PLAIN.replace('<f4', '<i3')): "data type '<i3' not understood",
    npy(PLAIN.replace('(2,)', '(-2,)')): 'not an array of numbers, but ',
    npy(PLAIN.replace('(2,)', '(' * 60_000)): 'not an array of numbers, but ',
    npy('{' + '"' * 900): 'not an array of numbers, but ',
    npy('{' + "'shape': ()," * 80): 'not an array of numbers, but ',
    npy(PLAIN, version=3): 'version 3 of the format, not 1 or 2',
    npy(PLAIN.replace('2,', '0,' + '9' * 30)): '',
}


@pytest.mark.parametrize(('data', 'why'), FORGED.items(), ids=range(len(FORGED)))
def test_forged_headers_are_one_line(tmp_path, data, why):
    (tmp_path / 'x.npy').write_bytes(data)
    for options in ({}, {'mapped': True}):
        with pytest.raises(SoundNetError) as refused:
            arrays.read_npy(tmp_path / 'x.npy', 'Write it again', **options)
        assert str(refused.value).startswith(f'{tmp_path}/x.npy: cannot be read ({why}')
        assert str(refused.value).endswith('). Write it again')
        assert '\n' not in str(refused.value)
    with zipfile.ZipFile(tmp_path / 'x.npz', 'w') as file:
        file.writestr('a.npy', data)
    for read in (arrays.read_npz, arrays.npz_headers):
        if why or read is arrays.read_npz:
            with pytest.raises(WeightsMismatch) as refused:
                read(tmp_path / 'x.npz', error=WeightsMismatch)
            assert str(refused.value).startswith(f'{tmp_path}/x.npz: cannot be read (')


def changed(data, offset, value, mark=b'PK\1\2'):
    """A zip with 2 bytes of its directory changed, and of the member's own header."""
    data = bytearray(data)
    for start, at in ((data.find(mark), offset), (data.find(b'PK\3\4'), offset - 2)):
        data[start + at : start + at + 2] = struct.pack('<H', value)
    return bytes(data)


def test_forged_archives_are_one_line(tmp_path):
    packed = io.BytesIO()
    np.savez(packed, a=np.zeros(3, np.float32))
    good = packed.getvalue()
    path = tmp_path / 'x.npz'
    for data, why in (
        (changed(good, 8, 1), 'a.npy: encrypted'),
        (changed(good, 10, 99), 'a.npy: compressed by the unknown method 99'),
        (good[:-30], 'File is not a zip file'),
        (good.replace(b'\0' * 12, b'\1' * 12), "a.npy: Bad CRC-32 for file 'a.npy'"),
        (b'', 'File is not a zip file'),
    ):
        path.write_bytes(data)
        with pytest.raises(SoundNetError) as refused:
            arrays.read_npz(path, 'Save it again')
        assert str(refused.value) == f'{path}: cannot be read ({why}). Save it again'
    path.write_bytes(good)
    with pytest.raises(SoundNetError, match=r"cannot be read \(no key 'b'\)$"):
        arrays.read_npz(path, keys=['b'])
    assert arrays.read_npz(path)['a'].tolist() == [0, 0, 0]


def test_a_bomb_is_refused_before_it_expands(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, 'SPARE', 1 << 20)
    np.savez_compressed(tmp_path / 'x.npz', a=np.zeros(2 << 20, np.uint8))
    with pytest.raises(SoundNetError, match=r'its 2,\d+ bytes expand to 2,097,280, unlike those of np\.savez'):
        arrays.read_npz(tmp_path / 'x.npz')
    np.savez(tmp_path / 'x.npz', a=np.zeros(8 << 20, np.uint8))
    assert arrays.read_npz(tmp_path / 'x.npz')['a'].shape == (8 << 20,)
