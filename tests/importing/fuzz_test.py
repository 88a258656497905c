"""Mutated files: a clear error, or a net of right shapes; no crash, no hang, no memory beyond a few times the file."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import names, recognise
from soundnet_tf.spec import Conv, Head
from tests.importing import made
from tests.importing.forms_test import FORMS
from tests.importing.made import TINY5

FILES = {form: write(TINY5, made.weights(TINY5)) for form, write in FORMS.items()}
CONSTANT = 5e6
"""Bytes that reading any file may take."""

INTERESTING = [
    b'\x00',
    b'\x01',
    b'\xff',
    b'\x7f\xff\xff\xff',
    b'\xff\xff\xff\xff',
    b'\x00\x00\x00\x80',
    b'(',
    b'.',
    b'R',
    b'b',
]
change = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(['set', 'insert', 'delete', 'copy', 'cut']),
    st.one_of(st.binary(min_size=1, max_size=9), st.sampled_from(INTERESTING)),
    st.floats(0, 1, exclude_max=True),
)


def mutated(data, changes):
    data = bytearray(data)
    for where, how, new, other in changes:
        at, source = int(where * len(data)), int(other * len(data))
        if how == 'set':
            data[at : at + len(new)] = new
        elif how == 'insert':
            data[at:at] = new
        elif how == 'delete':
            del data[at : at + len(new)]
        elif how == 'copy':
            data[at : at + 40] = data[source : source + 40]
        else:
            del data[max(at, len(data) // 2) :]
    return bytes(data)


@pytest.mark.parametrize('form', FILES)
@settings(max_examples=150, deadline=2000)
@given(changes=st.lists(change, min_size=1, max_size=4))
def test_mutated_files(form, changes):
    data = mutated(FILES[form], changes)
    said, source, fit = 'mutated.bin', None, None
    tracemalloc.start()
    try:
        source = recognise.read('mutated.bin', data)
        fit = names.best_fit(source)
    except SoundNetError as error:
        said = str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(data) + CONSTANT
    assert said.startswith('mutated.bin')
    assert '\n' not in said
    if fit and not fit.wrong:
        check(source, fit)


def check(source, fit):
    """Every variable of the table that was inferred has a tensor of its shape."""
    channels = 1
    for row in fit.spec.rows:
        if not isinstance(row, Conv | Head):
            continue
        width = row.classes if isinstance(row, Head) else row.filters
        kinds = {'bias'} | ({'gamma', 'beta', 'moving_mean', 'moving_variance'} if isinstance(row, Conv) else set())
        for kind in kinds:
            assert np.asarray(source.tensors[fit.names[f'{row.name}/{kind}']], np.float32).shape == (width,)
        kernel = source.tensors[fit.names[f'{row.name}/kernel']]
        assert kernel.size == math.prod((row.kernel, channels, width))
        channels = channels if isinstance(row, Head) else width
