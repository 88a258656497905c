"""Weight files in the forms that circulate, written by hand from nets of our own: neither Torch nor PyTorch is here."""

import dataclasses
import io
import pickle
import struct
import zipfile

import numpy as np

from soundnet_tf.nets import model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Pool
from soundnet_tf.testing import enliven, thin_spec
from tests.importing.pickle_writer import Build, Call, Filled, Global, Persistent, pickled
from tests.importing.torch7_writer import Module, Storage, Tensor, t7_bytes
from tests.nets.model_test import weights_of

TINY8, TINY5 = (thin_spec(spec, {'imagenet': 3, 'places': 2}, 1 / 1000) for spec in (SOUNDNET8, SOUNDNET5))
PRUNED8 = dataclasses.replace(
    SOUNDNET8,
    name='soundnet8-thin',
    layers=tuple(
        dataclasses.replace(row, filters=3 + index) if isinstance(row, Conv) else row
        for index, row in enumerate(SOUNDNET8.layers)
    ),
)
"""Another width in each layer, and the paper's heads."""


def weights(spec, seed=0):
    """Every variable by its name in a saved net, with lively statistics."""
    return weights_of(enliven(model.build(spec), seed))


def turned(kernel):
    """`[kernel, in, out]` to Torch's `[out, in, kernel, 1]`."""
    return np.ascontiguousarray(kernel.transpose(2, 1, 0)[..., None])


def t7_net(spec, weights, library='cudnn', kind='Cuda'):
    """The authors' Sequential. The parameters are views of one flat storage, as `getParameters` leaves them."""
    keys = [key for key in weights if 'moving' not in key]
    arrays = {key: turned(weights[key]) if key.endswith('/kernel') else weights[key] for key in keys}
    flat = Storage(np.concatenate([array.ravel() for array in arrays.values()]), kind)
    starts = dict(zip(keys, np.cumsum([0] + [array.size for array in arrays.values()]).tolist(), strict=False))
    empty = Tensor(kind, None, (), ())

    def parameter(key):
        tensor = Tensor.of(arrays[key])
        return Tensor(kind, flat, tensor.shape, tensor.strides, starts[key])

    def module(name, content, which=library):
        return Module(f'{which}.{name}', content | {'_type': f'torch.{kind}Tensor', 'output': empty, 'train': True})

    def convolution(row):
        sizes = {'kW': 1, 'kH': row.kernel, 'dW': 1, 'dH': row.stride, 'padW': 0, 'padH': row.padding}
        tensors = {'weight': parameter(f'{row.name}/kernel'), 'bias': parameter(f'{row.name}/bias')}
        return module('SpatialConvolution', sizes | tensors | {'gradWeight': tensors['weight']})

    def norm(row):
        names = {'weight': 'gamma', 'bias': 'beta'}
        tensors = {name: parameter(f'{row.name}/{kind}') for name, kind in names.items()}
        tensors |= {
            name: Tensor.of(weights[f'{row.name}/{of}'], kind)
            for name, of in (('running_mean', 'moving_mean'), ('running_var', 'moving_variance'))
        }
        return module('SpatialBatchNormalization', tensors | {'eps': 1e-5, 'momentum': 0.1, 'affine': True})

    modules = []
    for row in spec.layers:
        if isinstance(row, Pool):
            modules.append(module('SpatialMaxPooling', {'kW': 1, 'kH': row.kernel, 'dH': row.kernel, 'padH': 0}))
        else:
            modules += [convolution(row), norm(row), module('ReLU', {'inplace': True})]
    modules.append(module('ConcatTable', {'modules': numbered(convolution(head) for head in spec.heads)}, 'nn'))
    splits = numbered(module('SplitTable', {'dimension': 3}, 'nn') for _ in spec.heads)
    modules.append(module('ParallelTable', {'modules': splits}, 'nn'))
    return module('Sequential', {'modules': numbered(modules)}, 'nn')


def numbered(values):
    return dict(enumerate(values, start=1))


def t7(spec, weights, **options):
    return t7_bytes(t7_net(spec, weights, **options))


def npy_array(array):
    """What numpy of Python 2 pickles an array to."""
    array = np.asarray(array)
    kind = array.dtype.str[1:] if array.dtype != object else 'O8'
    order = '|' if array.dtype == object else array.dtype.str[0]
    dtype = Build(Call(Global('numpy', 'dtype'), (kind, 0, 1)), (3, order, None, None, None, -1, -1, 0))
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    raw = array.ravel().tolist() if array.dtype == object else array.tobytes('F' if fortran else 'C')
    empty = Call(Global('numpy.core.multiarray', '_reconstruct'), (Global('numpy', 'ndarray'), (0,), 'b'))
    return Build(empty, (1, array.shape, dtype, fortran, raw))


def npy_dict(spec, weights):
    """Layer -> kind -> array, as sound8.npy has it; kernels `[kernel, 1, in, out]`, in Fortran's order as there."""
    kinds = {'kernel': 'weights', 'bias': 'biases', 'moving_mean': 'mean', 'moving_variance': 'var'}
    names = {head.name: spec.head_alias + end for head, end in zip(spec.heads, ('', '_2'), strict=True)}
    layers = {}
    for key, array in weights.items():
        row, kind = key.split('/')
        array = turned(array).transpose(2, 3, 1, 0) if kind == 'kernel' else array
        layers.setdefault(names.get(row, row), {})[kinds.get(kind, kind)] = array
    return layers


def npy(spec, weights):
    """As Python 2 wrote it."""
    layers = {layer: {k: npy_array(a) for k, a in kinds.items()} for layer, kinds in npy_dict(spec, weights).items()}
    return npy_of(layers)


def npy_of(value):
    outer = npy_array(np.array(None, object))
    outer.state = (*outer.state[:4], [value])
    return npy_header() + pickled(outer, python2=True)


def npy_header():
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(69) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode()


def npy_now(spec, weights):
    """As the numpy of today writes it."""
    file = io.BytesIO()
    np.save(file, npy_dict(spec, weights), allow_pickle=True)
    return file.getvalue()


def state_dict(spec, weights, port):
    """The names of a port: 'batchnorm', 'sequential' (conv1.0, conv1.1) or 'features'."""
    places, place, state = {}, 0, {}
    for row in spec.layers:
        places[row.name] = place
        place += 1 if isinstance(row, Pool) else 3
    heads = dict(zip(spec.head_names, ('objs', 'scns'), strict=True))
    for key, array in weights.items():
        row, kind = key.split('/')
        number, second = row.removeprefix('conv'), '_2' * (row == spec.head_names[1])
        stems = {
            'batchnorm': (row, f'batchnorm{number}'),
            'sequential': (f'{row}.0', f'{row}.1'),
            'features': (f'features.{places.get(row)}', f'features.{places.get(row, 0) + 1}'),
        }[port]
        if row in heads:
            head = f'{spec.head_alias}{second}.0' if port == 'sequential' else f'{spec.head_alias}_{heads[row]}'
            stems = head, ''
        norm = kind not in ('kernel', 'bias')
        kinds = {'kernel': 'weight', 'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean'}
        name = {**kinds, 'moving_variance': 'running_var'}.get(kind, kind)
        state[f'{stems[norm]}.{name}'] = turned(array) if kind == 'kernel' else array
        if kind == 'moving_variance':
            state[f'{stems[1]}.num_batches_tracked'] = np.array(7, np.int64)
    return state


ELEMENTS = {'float32': 'Float', 'float64': 'Double', 'float16': 'Half', 'int64': 'Long'}


def torch_value(state, view=()):
    """A state dict as torch pickles it: an OrderedDict of tensors, with _metadata."""
    tensors = {}
    for number, (name, array) in enumerate(state.items()):
        storage = Global('torch', f'{ELEMENTS[str(array.dtype)]}Storage')
        identity = Persistent(('storage', storage, str(number), 'cuda:0', array.size, *view))
        strides = tuple(step // array.itemsize for step in array.strides)
        hooks = Call(Global('collections', 'OrderedDict'), ())
        rebuild = Global('torch._utils', '_rebuild_tensor_v2')
        tensors[name] = Call(rebuild, (identity, 0, array.shape, strides, False, hooks))
    return Build(Filled(Call(Global('collections', 'OrderedDict'), ()), tensors), {'_metadata': {'': {'version': 1}}})


def zipped(state, wrap=lambda value: value):
    """What `torch.save` writes today."""
    entries = {'data.pkl': pickled(wrap(torch_value(state))), 'byteorder': b'little', 'version': b'3\n'}
    entries |= {f'data/{number}': array.tobytes() for number, array in enumerate(state.values())}
    return zip_of({f'archive/{name}': data for name, data in entries.items()})


def zip_of(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', compression) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def legacy(state):
    """What it wrote before PyTorch 1.6."""
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'short': 2, 'int': 4, 'long': 4}}
    start = b''.join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system))
    keys = [str(number) for number in range(len(state))][::-1]
    arrays = list(state.values())
    storages = b''.join(struct.pack('<q', arrays[int(key)].size) + arrays[int(key)].tobytes() for key in keys)
    return start + pickled(torch_value(state, (None,))) + pickle.dumps(keys, 2) + storages
