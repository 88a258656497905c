"""One way to run a saved net, in a process of its own, for `benchmarks/embed.py`: commands come in, times go out.

python benchmarks/peers/worker.py KIND FOLDER LAYER

Each line of standard input is `batch samples`; the answer is the seconds of one run on noise of that shape, by the
clock and of the processors: the median of three, after one that is not counted, since others had the caches
meanwhile. PyTorch and OpenVINO need nothing of this package but the saved net's files.
"""

import json
import pathlib
import sys
import time

import numpy as np

EPSILON = 1e-5  # of the net's batch norm


def noise(batch, samples):
    return np.random.default_rng(0).normal(0, 0.1, (batch, samples)).astype(np.float32)


def ours(folder, layer, precision='float32'):
    import tensorflow as tf

    from soundnet_tf.nets import fast, saved

    spec = saved.read_spec(folder)
    weights = fast.Weights(spec, saved.Tensors(folder, spec), constant=True)
    form = fast.inference_form(weights, [layer], precision)
    run = tf.function(form, input_signature=[tf.TensorSpec([None, None], tf.float32)])
    return lambda x: run(x)[layer].numpy()


def half(folder, layer):
    return ours(folder, layer, 'bfloat16')


def plain(folder, layer):
    import tensorflow as tf

    from soundnet_tf.nets import model, saved

    net = model.features(saved.load_net(folder), [layer])
    run = tf.function(lambda x: net(x, training=False), input_signature=[tf.TensorSpec([None, None], tf.float32)])
    return lambda x: run(x)[layer].numpy()


def predict(folder, layer):
    from soundnet_tf.nets import model, saved

    net = model.features(saved.load_net(folder), [layer])
    return lambda x: np.concatenate([net.predict(row[None], verbose=0)[layer] for row in x])


def litert(folder, layer):
    from soundnet_tf.inference.engines import LiteRTEngine
    from soundnet_tf.nets import litert

    signature = LiteRTEngine(folder)._signature_of[layer]
    run = litert.light(pathlib.Path(folder) / 'net.tflite').get_signature_runner(signature)
    return lambda x: run(waveform=x)[layer]


def by_openvino(folder, layer, precision='float32'):
    from soundnet_tf.inference.engines import OpenVINOEngine

    request = OpenVINOEngine(folder, precision=precision)._request((layer,))
    return lambda x: np.array(request.infer([x])[layer])


def half_by_openvino(folder, layer):
    return by_openvino(folder, layer, 'bfloat16')


def peak(folder, layer):
    """Not the net: a product of matrices with as many multiplications, as large as caches like them."""
    import tensorflow as tf

    square = tf.random.normal([2048, 2048])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(square, square)))
    return lambda x: product().numpy()


def torch_net(folder, layer, dimensions):
    """The net as its ports to PyTorch have it: time on the height of images with `dimensions` 2."""
    import torch

    spec = json.loads((pathlib.Path(folder) / 'spec.json').read_text())
    weights = np.load(pathlib.Path(folder) / 'weights.npz')
    wide = (lambda n: (n, 1)) if dimensions == 2 else (lambda n: n)
    conv, norm, pool = (
        (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.MaxPool2d)
        if dimensions == 2
        else (torch.nn.Conv1d, torch.nn.BatchNorm1d, torch.nn.MaxPool1d)
    )
    modules, channels = [], 1
    for row in spec['layers']:
        if row['kind'] == 'pool':
            modules.append(pool(wide(row['kernel'])))
        else:
            get = {
                kind: torch.from_numpy(weights[f'{row["name"]}/{kind}'])
                for kind in ('kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance')
            }
            padding = (row['padding'], 0) if dimensions == 2 else row['padding']
            stride = (row['stride'], 1) if dimensions == 2 else row['stride']
            convolution = conv(channels, row['filters'], wide(row['kernel']), stride, padding)
            normalisation = norm(row['filters'], EPSILON)
            kernel = get['kernel'].permute(2, 1, 0)
            convolution.weight.data = (kernel[..., None] if dimensions == 2 else kernel).contiguous()
            convolution.bias.data = get['bias']
            normalisation.weight.data, normalisation.bias.data = get['gamma'], get['beta']
            normalisation.running_mean, normalisation.running_var = get['moving_mean'], get['moving_variance']
            modules += [convolution, normalisation, torch.nn.ReLU()]
            channels = row['filters']
        if row['name'] == layer:
            break
    return torch.nn.Sequential(*modules).eval()


def torch_run(folder, layer, dimensions):
    import torch

    net = torch_net(folder, layer, dimensions)

    def run(x):
        with torch.inference_mode():
            y = net(torch.from_numpy(x * np.float32(256)).reshape([len(x), 1, -1] + [1] * (dimensions - 1))).numpy()
        return np.moveaxis(y[..., 0] if dimensions == 2 else y, 1, 2)

    return run


def torch2d(folder, layer):
    return torch_run(folder, layer, 2)


def torch1d(folder, layer):
    return torch_run(folder, layer, 1)


def openvino(folder, layer):
    """Compiled for each shape by itself, in float32: on some processors its own choice would be bfloat16."""
    import openvino
    import torch

    net, compiled = torch_net(folder, layer, 1), {}

    def run(x):
        if x.shape not in compiled:
            converted = openvino.convert_model(net, example_input=torch.zeros(len(x), 1, x.shape[1]))
            converted.reshape([len(x), 1, x.shape[1]])
            hints = {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'}
            compiled[x.shape] = openvino.Core().compile_model(converted, 'CPU', hints)
        return np.moveaxis(compiled[x.shape]([x[:, None] * np.float32(256)])[0], 1, 2)

    return run


KINDS = {
    'ours': ours,
    'bfloat16': half,
    'plain': plain,
    'predict': predict,
    'litert': litert,
    'by_openvino': by_openvino,
    'bfloat16_by_openvino': half_by_openvino,
    'peak': peak,
    'torch2d': torch2d,
    'torch1d': torch1d,
    'openvino': openvino,
}


def main():
    kind, folder, layer = sys.argv[1:]
    run, last = KINDS[kind](folder, layer), None
    print('ready', flush=True)
    for line in sys.stdin:
        command, *shape = line.split()
        if command == 'save':
            np.save(shape[0], last)
            print('saved', flush=True)
            continue
        x = noise(int(command), int(shape[0]))
        run(x)
        took = []
        for _ in range(3):
            began = time.perf_counter(), time.process_time()
            last = run(x)
            took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        print(*np.median(took, axis=0), flush=True)


if __name__ == '__main__':
    main()
