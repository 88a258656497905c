"""Text, JSON and CSV: what can be read is read, and what cannot gives one line with the file's name."""

import json
import math
import os
import re

import pytest

from soundnet_tf import storage
from soundnet_tf.errors import BadRecord, SoundNetError
from soundnet_tf.inference import files
from soundnet_tf.storage import arrays


def refusal(call, *arguments, **options):
    with pytest.raises(SoundNetError) as refused:
        call(*arguments, **options)
    assert '\n' not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ('content', 'why'),
    [
        (b'', 'it is empty'),
        (b' \n', 'it is empty'),
        (b'{"a": 1', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        (b'[1]', 'not a JSON object'),
        (b'null', 'not a JSON object'),
        (b'[' * 100_000, 'nested too deeply'),
        (b'{"a":' * 3000 + b'1' + b'}' * 3000, 'nested too deeply'),
        ('{"ä": 1}'.encode('latin-1'), 'not text in UTF-8: byte 2 is 0xe4'),
        ('{"a": 1}'.encode('utf-16'), 'not text in UTF-8: byte 0 is 0xff'),
        (b'{"a": ' + b'1' * 5000 + b'}', 'Exceeds the limit (4300 digits) for integer string conversion'),
    ],
)
def test_damaged_json_is_one_line(tmp_path, content, why):
    (tmp_path / 'x.json').write_bytes(content)
    text = refusal(storage.read_json, tmp_path / 'x.json', 'Write it again')
    start, end = f'{tmp_path}/x.json: cannot be read ({why}', 'Write it again'
    assert text.startswith(start)
    assert text.endswith(f'). {end}')


def test_a_folder_and_a_missing_file_are_reported(tmp_path):
    assert refusal(storage.read_json, tmp_path) == f'{tmp_path}: cannot be read (Is a directory)'
    path = tmp_path / 'x'
    assert refusal(storage.read_text, path, 'Make it') == f'{path}: cannot be read (No such file or directory). Make it'


def test_text_may_have_a_byte_order_mark_and_any_line_ends(tmp_path):
    (tmp_path / 'x').write_bytes(b'\xef\xbb\xbf{"a":\r\n"\xc3\xa4"}')
    assert storage.read_json(tmp_path / 'x') == {'a': 'ä'}
    assert storage.read_text(tmp_path / 'x') == '{"a":\n"ä"}'
    assert storage.parse_json(b'\xef\xbb\xbf[1]', 'x', kind=list) == [1]


@pytest.mark.parametrize(
    ('pick', 'why'),
    [
        (lambda values: values['b'], "no key 'b'"),
        (lambda values: values['a']['b'], "'int' object is not subscriptable"),
        (lambda values: values['a'].items(), "'int' object has no attribute 'items'"),
        (lambda values: float(values['big']), 'int too large to convert to float'),
        (lambda values: int(values['nan']), 'cannot convert float NaN to integer'),
        (lambda values: [][values['a']], 'list index out of range'),
    ],
)
def test_what_is_picked_out_of_a_file_is_checked_with_it(pick, why):
    values = {'a': 1, 'big': 10**400, 'nan': math.nan}
    line = f'^{re.escape(f"x.json: cannot be read ({why}). Remove it")}$'
    with pytest.raises(BadRecord, match=line), storage.readable('x.json', 'Remove it', BadRecord):
        pick(values)


def test_a_soundnet_error_is_not_wrapped():
    with pytest.raises(BadRecord, match=r'^mine$'), storage.readable('x.json'):
        raise BadRecord('mine')


def test_what_a_file_says_cannot_act_on_a_terminal():
    with pytest.raises(SoundNetError) as refused, storage.readable('a\nb'):
        raise ValueError('\x1b[2J\nnext \ud800 ' + 'x' * 1000)
    assert str(refused.value).startswith('a\\nb: cannot be read (\\x1b[2J next \\ud800 xxx')
    assert len(str(refused.value)) < 300


def test_a_table_has_its_columns_whatever_the_cells(tmp_path):
    (tmp_path / 'x.csv').write_bytes(b'\xef\xbb\xbfa,b\r\n\r\n1\r\n"2\n3",4,5\n')
    header, rows = storage.csv_table(tmp_path / 'x.csv')
    assert header == ['a', 'b']
    assert list(rows) == [(3, {'a': '1', 'b': ''}), (5, {'a': '2\n3', 'b': '4'})]
    (tmp_path / 'x.csv').write_bytes(b'')
    header, rows = storage.csv_table(tmp_path / 'x.csv')
    assert (header, list(rows)) == ([], [])


@pytest.mark.parametrize(
    ('content', 'why'),
    [
        (b'a\n\xff', 'not text in UTF-8: byte 2 is 0xff'),
        (b'a\n' + b'x' * 200_000, 'line 2 has a cell of more than 131,072 characters'),
        (b'a\n1\n"2\n3\n', 'line 3 has a quote that is not closed'),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path, content, why):
    (tmp_path / 'x.csv').write_bytes(content)
    with pytest.raises(SoundNetError, match=rf'^{tmp_path}/x\.csv: cannot be read \({why}\)\. Fix it$'):
        list(storage.csv_lines(tmp_path / 'x.csv', 'Fix it'))


def test_lines_that_cannot_be_read_leave_the_others(tmp_path):
    swallowed = [f'{number}' for number in range(5, 30_000)]
    lines = ['a', '"1\n2"', 'x' * 200_000, '"' + 'y' * 10, *swallowed, '', '"z', 'end']
    (tmp_path / 'x.csv').write_text('\n'.join(lines))
    wrong, right = [], []
    for number, cells in storage.csv_rows(tmp_path / 'x.csv'):
        (wrong if isinstance(cells, str) else right).append((number, cells))
    assert wrong == [
        (4, 'has a cell of more than 131,072 characters'),
        (5, 'has a quote that is not closed'),
        (30_002, 'has a quote that is not closed'),
    ]
    assert right[:3] == [(1, ['a']), (3, ['1\n2']), (6, ['5'])]
    assert right[-1] == (30_003, ['end'])
    assert len(right) == 3 + len(swallowed)


def test_settings_nested_deeply_or_with_line_ends_are_one_line(tmp_path):
    path = tmp_path / 'run' / 'run.json'
    path.parent.mkdir()
    path.write_text('{"a":' * 900 + '1' + '}' * 900)
    assert 'nested too deeply' in refusal(storage.begin, path, {'a': 1})
    path.write_text(json.dumps({'a': 'x\ny', 'b\n': 'z' * 200}))
    assert r'(a was x\ny, is 1; b differs)' in refusal(storage.begin, path, {'a': 1})


@pytest.mark.parametrize(
    'read',
    [
        storage.read_text,
        storage.read_json,
        storage.csv_table,
        storage.sha256,
        arrays.read_npy,
        arrays.read_npz,
        files.listed,
    ],
)
def test_a_device_is_refused(tmp_path, read):
    """/dev/zero never ends."""
    (tmp_path / 'x').symlink_to('/dev/zero')
    assert refusal(read, str(tmp_path / 'x')) == f'{tmp_path}/x: is a device. Pass a file, or a pipe'


def test_a_pipe_is_read(tmp_path):
    """As of `<(...)` in a shell."""
    reading, writing = os.pipe()
    os.write(writing, b'path,id\na.mp4,1\n')
    os.close(writing)
    header, rows = storage.csv_table(f'/dev/fd/{reading}')
    assert (header, [*rows]) == (['path', 'id'], [(2, {'path': 'a.mp4', 'id': '1'})])
    os.close(reading)
