"""Each form is read, to the last number; what a file may not hold is refused by name, and damage is reported."""

import io
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import forms, names, pickles, recognise
from tests.importing import made
from tests.importing.made import TINY5, TINY8
from tests.importing.pickle_writer import Build, Call, Global, Persistent, Raw, pickled
from tests.importing.torch7_writer import Module, Tensor, t7_bytes


@pytest.fixture(scope='module', params=[TINY8, TINY5], ids=lambda spec: spec.name)
def net(request):
    return request.param, made.weights(request.param)


def as_state(write, port):
    return lambda spec, weights: write(made.state_dict(spec, weights, port))


FORMS = {
    't7 cudnn cuda': made.t7,
    't7 nn float': lambda spec, weights: made.t7(spec, weights, library='nn', kind='Float'),
    'npy of Python 2': made.npy,
    'npy of today': made.npy_now,
    'zip batchnorm': as_state(made.zipped, 'batchnorm'),
    'zip sequential': as_state(made.zipped, 'sequential'),
    'legacy batchnorm': as_state(made.legacy, 'batchnorm'),
    'legacy features': as_state(made.legacy, 'features'),
}


def read(data):
    return recognise.read('weights.bin', data)


def refusal(data):
    with pytest.raises(SoundNetError) as caught:
        read(data)
    return str(caught.value)


def variables(source):
    """The file's tensors by our variables, as Keras has them."""
    fit = names.best_fit(source)
    assert not fit.wrong
    tensors = {key: source.tensors[name] for key, name in fit.names.items()}
    kernel = forms.FORMS[source.form].kernel
    return fit.spec, {key: kernel(t) if key.endswith('/kernel') else t for key, t in tensors.items()}


@pytest.mark.parametrize('form', FORMS)
def test_every_number_is_read(net, form):
    spec, weights = net
    read_spec, read_weights = variables(read(FORMS[form](spec, weights)))
    assert read_spec == spec
    assert set(read_weights) == set(weights)
    for key, array in weights.items():
        np.testing.assert_array_equal(read_weights[key], array, err_msg=key)


def test_other_numbers_and_layouts(net):
    spec, weights = net
    for dtype, kind in ((np.float64, 'Double'), (np.float16, 'Half')):
        other = {key: array.astype(dtype) for key, array in weights.items()}
        for data in (
            made.t7(spec, other, kind=f'Cuda{kind}'),
            made.npy_now(spec, {key: array.astype(array.dtype.newbyteorder('>')) for key, array in other.items()}),
            made.legacy(made.state_dict(spec, other, 'batchnorm')),
        ):
            for key, array in variables(read(data))[1].items():
                np.testing.assert_array_equal(array, other[key])
    state = made.state_dict(spec, weights, 'batchnorm')
    for turn in (lambda a: a[..., 0], lambda a: a.transpose(0, 1, 3, 2)):  # Conv1d; a picture on its side
        turned = {name: np.ascontiguousarray(turn(a)) if a.ndim == 4 else a for name, a in state.items()}
        for key, array in variables(read(made.zipped(turned)))[1].items():
            np.testing.assert_array_equal(array, weights[key])


@pytest.mark.parametrize('part', ['state_dict', 'model_state_dict', 'my own'])
def test_a_state_dict_within_a_checkpoint_of_a_larger_model(net, part):
    spec, weights = net
    state = {f'module.ear.{name}': a for name, a in made.state_dict(spec, weights, 'batchnorm').items()}
    data = made.zipped(state, lambda value: {'epoch': 3, part: value, 'lr': 0.001})
    assert variables(read(data))[0] == spec


def test_an_ordered_dict_of_python_2():
    state = made.state_dict(TINY8, made.weights(TINY8), 'batchnorm')
    pairs = [[name, tensor] for name, tensor in made.torch_value(state, (None,)).value.items.items()]
    whole = pickled(Call(Global('collections', 'OrderedDict'), (pairs,)))
    plain = pickled(made.torch_value(state, (None,)))
    assert variables(read(made.legacy(state).replace(plain, whole)))[0] == TINY8


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_plain_pickles_are_what_pickle_reads(protocol):
    value = {'a': [1, -2, 300, 70_000, 2**40, -(2**70), 0.5, True, False, None], 'ä': (), 'b' * 200: ({}, ('x',), [])}
    value |= {'more': [(1, 2), (1, 2, 3), (1, 2, 3, 4), 'ü' * 300]}
    value['again'] = value['a']
    assert pickles.read(io.BytesIO(pickle.dumps(value, protocol)), {}) == value


class Evil:
    """Runs a command when it is unpickled by who does not look."""

    def __reduce__(self):
        import os

        return os.system, ('touch evil',)


@pytest.mark.parametrize('wrap', ['npy', 'zip', 'legacy'])
def test_no_code_is_run(wrap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps({'conv1.weight': Evil()}, 2)
    state = {'conv1.weight': np.zeros(1, np.float32)}
    files = {
        'npy': made.npy_header() + evil,
        'zip': made.zip_of({'archive/data.pkl': evil}),
        'legacy': made.legacy(state).replace(pickled(made.torch_value(state, (None,))), evil),
    }
    assert refusal(files[wrap]) == (
        'weights.bin: refused: its pickle imports posix.system, which weights do not need and which could run code. '
        'Save only the tensors, such as a state_dict(), with the program that wrote the file'
    )
    assert not list(tmp_path.iterdir())


def test_a_whole_pytorch_model_is_refused():
    model = Call(Global('soundnet', 'SoundNet'), ())
    assert 'its pickle imports soundnet.SoundNet, which' in refusal(made.zip_of({'a/data.pkl': pickled(model)}))


def npy_pickle(value):
    return made.npy_header() + pickled(value, python2=True)


def pth_of(value):
    return made.zip_of({'a/data.pkl': pickled(value)})


def tensor_in_t7(**fields):
    tensor = Tensor.of(np.arange(6, dtype=np.float32).reshape(2, 3))
    for name, value in fields.items():
        setattr(tensor, name, value)
    return t7_bytes(Module('nn.Linear', {'weight': tensor}))


LOOPED = {'modules': {}}
LOOPED['modules'][1] = Module('nn.Sequential', LOOPED)


DEEP = {}
for _ in range(40):
    DEEP = {1.0: DEEP, 2.0: DEEP}


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (b'\x89HDF\r\n\x1a\n0000', r"unknown kind of weight file \(it begins with b'\\x89HDF"),
        (b'<html>', r'it begins with .*\. Pass a Torch7 \.t7, a numpy \.npy such as sound8\.npy, or a PyTorch \.pth'),
        (b'', 'weights.bin: empty. Download the file again'),
        (t7_bytes({'a': 1}), 'unknown kind of weight file'),  # a table, not a net
        (t7_bytes(Module('nn.ReLU', {})), 'not a net: it has no module with weights'),
        (t7_bytes(Module('nn.Sequential', LOOPED)), r'not a net: 1\.1\.1\.1.* is not a module'),
        (t7_bytes(Module('nn.Sequential', {'modules': {1.5: 2}})), r'damaged: a module is numbered 1\.5'),
        (t7_bytes(Module('nn.Sequential', {'modules': {1: 2}})), 'not a net: 1 is not a module'),
        (t7_bytes(Tensor.of(np.ones(3, np.float32))), 'its top value is not a module'),
        (struct.pack('<iii', 4, 1, 3) + b'V 1' + struct.pack('<i', 8), 'damaged: 8 bytes expected after byte 19'),
        (struct.pack('<iii', 4, 1, -3), 'damaged: -3 bytes expected after byte 12, but 0 are left'),
        (tensor_in_t7(kind='Timer'), 'refused: torch.TimerTensor is not a tensor class of weights'),
        (tensor_in_t7(kind='Double'), 'damaged: the storage of torch.DoubleTensor is invalid'),
        (tensor_in_t7(shape=(2, 4)), r'damaged: a tensor \[2, 4\] exceeds its 6 numbers'),
        (tensor_in_t7(offset=1), r'a tensor \[2, 3\] exceeds its 6 numbers'),
        (tensor_in_t7(offset=-2), 'damaged: a tensor of an invalid shape'),
        (tensor_in_t7(strides=(0, 0), shape=(2**40, 2**20)), ' exceeds its '),
        (tensor_in_t7(strides=(-3, 1)), 'an invalid shape'),
        (tensor_in_t7(shape=(1,) * 9, strides=(1,) * 9), 'damaged: torch.FloatTensor of 9 dimensions'),
        (made.npy_header()[:30], 'not a net: expected a dict of layers, but the header is'),
        (made.npy_header() + pickled(1), 'not a net: it has no dict of layers'),
        (npy_pickle(made.npy_array(np.zeros(0, object))), 'not a net: it has no dict of layers'),
        (npy_pickle(Call(Global('numpy', 'dtype'), ('V8', 0, 1))), r"refused: an array of 'V8' is not numeric"),
        (
            made.npy_header() + b'\x80\x02(Vtext\n',
            'refused: its pickle has the instruction UNICODE, which weights do not',
        ),
        (made.npy_header() + b'\x80\x02]', 'damaged: its pickle is invalid'),
        (pth_of([1, 2]), 'not a net: it has no state dict'),
        (pth_of({'epoch': 3, 'lr': 0.1}), 'it has no named tensors, but epoch, lr. Save only the state_dict'),
        (made.zip_of({'a.txt': b'dear sir'}), 'not a net: a zip, but not from PyTorch$'),
        (
            made.zip_of({'a/b.t7': b''}, zipfile.ZIP_DEFLATED),
            'a zip, but not from PyTorch. Extract a/b.t7, and pass that',
        ),
        (t7_bytes(Module('nn.ReLU', {'kH': {1.0: DEEP, 2.0: DEEP}})), 'not a net: kH of module  is not a number'),
        (t7_bytes(Module('nn.ReLU', {'dH': Tensor.of(np.ones(3, np.float32))})), 'dH of module  is not a number'),
        (made.npy_of({'conv1': {'scale': 2.0}}), 'not a net: conv1/scale is not an array'),
        (made.npy_of({'more': {'x': {'y': 1}}}), 'not a net: more/x is not an array'),
        (made.npy_of({'\x1b[2J': 1}), r'not a net: \\x1b\[2J/ is not an array'),
        (made.zip_of({'a/data.pkl': b'\0' * 10**6}, zipfile.ZIP_DEFLATED), 'refused: a zip that unpacks to more than'),
        (made.zip_of({'a/data.pkl': b'', 'a/byteorder': b'big'}), 'refused: it was written with another byte order'),
        (
            made.zipped({'a': np.ones(3, np.float32)}).replace(b'PK\x01\x02', b'PK\x01\x03'),
            'damaged: the zip cannot be',
        ),
    ],
)
def test_invalid_files(data, words):
    with pytest.raises(SoundNetError, match=words):
        read(data)


def test_a_plain_array_is_not_a_net():
    file = io.BytesIO()
    np.save(file, np.zeros((3, 4)))
    assert refusal(file.getvalue()) == (
        'weights.bin: not a net: expected a dict of layers, but the header is '
        "\"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\""
    )


def test_storages_that_are_missing_or_short():
    state = {'a': np.ones(3, np.float32), 'b': np.ones(3, np.float32)}
    whole = made.legacy(state)
    assert 'damaged: storage 0 has 2 numbers instead of 3' in refusal(whole[:-4])
    assert 'damaged: its storages do not match its list' in refusal(whole[:-20])
    keys = pickle.dumps(['1', '0'], 2)
    assert 'damaged: storage 0 is missing' in refusal(whole.replace(keys, pickle.dumps(['1'], 2)))
    assert 'another order of bytes' not in refusal(whole[:-4])
    big = whole.replace(b'little_endian' + whole.partition(b'little_endian')[2][:3], b'little_endianq\x03\x89')
    assert 'refused: unknown version or byte order' in refusal(big)


def test_tensors_that_share_numbers_are_refused():
    state = {str(number): np.ones(1000, np.float32) for number in range(3)}
    one = made.torch_value(state)
    for tensor in one.value.items.values():
        tensor.arguments[0].identity = (*tensor.arguments[0].identity[:2], '0', *tensor.arguments[0].identity[3:])
    data = made.zip_of({'a/data.pkl': pickled(one), 'a/data/0': state['0'].tobytes()})
    assert 'refused: its tensors share storage' in refusal(data)


def repeated(code, times=20_000, text=10**6):
    """A pickle that says the same of a long text again and again."""
    start = b'\x80\x02X' + struct.pack('<I', text) + b'x' * text + b'q\x00]q\x01('
    return made.npy_header() + start + code * times + b'e.'


def keyed(value, times=9000):
    """Items of a dict, all of the same value."""
    return b''.join(b'J' + struct.pack('<i', number) + value for number in range(times))


ENCODE = b'c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R'
PAIRS = b')' + b'q\x02h\x02\x86' * 60
"""Of pairs of pairs: a few bytes, and without an end to who looks at all of it."""
BOMBS = {
    'a type of pairs of pairs': made.npy_header() + b'\x80\x02cnumpy\ndtype\n' + PAIRS + b'\x85R.',
    'a shape of pairs of pairs': made.npy_of(
        Build(
            made.npy_array(np.zeros(2)).value,
            (1, (-1, Raw(PAIRS)), made.npy_array(np.zeros(2)).state[2], False, b'0' * 16),
        )
    ),
    'a tensor of pairs of pairs': made.legacy({}).replace(
        pickled(made.torch_value({}, (None,))),
        pickled(
            {
                'x': Call(
                    Global('torch._utils', '_rebuild_tensor'),
                    (
                        Persistent(('storage', Global('torch', 'FloatStorage'), '0', 'cpu', 0, None)),
                        0,
                        (Raw(PAIRS),),
                        (1,),
                    ),
                )
            }
        ),
    ),
    'values': made.npy_header() + b'\x80\x02(' + b']' * 10**6 + b't.',
    'a long number': made.npy_header() + b'\x80\x02\x8b' + struct.pack('<i', 10**6) + b'\x01' * 10**6 + b'.',
    'a key of pairs of pairs': made.npy_header() + b'\x80\x02})' + b'q\x00h\x00\x86' * 60 + b'Ns.',
    'marks': made.npy_header() + b'\x80\x02' + b'(' * 45_000 + b't' * 45_000 + b'.',
    'a promise of bytes': made.npy_header() + b'\x80\x04\x8e' + struct.pack('<Q', 1 << 60) + b'abc.',
    'a far place in the memory': made.npy_header() + b'\x80\x02]r\xff\xff\xff\xff.',
    'bytes of the same text': repeated(ENCODE),
    'arguments': repeated(b'cnumpy\ndtype\n(' + b'N' * 20_000 + b'tq\x02R' + b'cnumpy\ndtype\nh\x02R' * 10_000, 1),
    'long keys': repeated(b'}h\x00Ns', 10_000),
    'pairs': made.legacy({}).replace(
        pickled(made.torch_value({}, (None,))),
        b'\x80\x02](](K\x01K\x02e]q\x00(' + b'K\x01K\x02\x86' * 9000 + b'e'
        b'ccollections\nOrderedDict\nq\x01h\x00\x85R' + b'h\x01h\x00\x85R' * 9000 + b'e.',
    ),
    'layers': made.npy_of(
        Raw(b'}(K\x00}q\xfa(' + keyed(b'N') + b'u' + keyed(b'h\xfa') + b'u'),
    ),
    'modules': t7_bytes(Module('nn.Sequential', LOOPED)),
    'a table of numbers': t7_bytes(Module('x', dict.fromkeys(map(float, range(10**5)), 0.5))),
    'tables within tables': struct.pack('<iii', 4, 1, 1)
    + b'x'
    + b''.join(struct.pack('<iii', 3, number, 1) for number in range(2, 10**4)),
}


NONSENSE = 'damaged: its pickle is invalid'
WORDS = dict.fromkeys(BOMBS, NONSENSE) | {
    'a tensor of pairs of pairs': 'damaged: storage 0 is missing',
    'values': 'its pickle has too many instructions',
    'marks': 'it has no dict of layers',
    'a far place in the memory': 'it has no dict of layers',
    'pairs': 'it has no state dict',
    'layers': '0/0 is not an array',
    'modules': ' is not a module',
    'a table of numbers': 'too many values, or nested too deeply',
    'tables within tables': 'too many values, or nested too deeply',
}
"""What each is refused with: that of the guard it is meant for."""


@pytest.mark.timeout(30)
@pytest.mark.parametrize('bomb', BOMBS)
def test_bombs_are_refused(bomb):
    data = BOMBS[bomb]
    tracemalloc.start()
    assert WORDS[bomb] in refusal(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(data) + 30e6
