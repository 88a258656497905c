"""What a user would write for a folder without this package: each sound file to an npy file of conv7.

python benchmarks/peers/folder.py KIND NET LIST OUT

KIND is onnx, torch or keras; NET the file that `soundnet-export --format=onnx --output=embedding` wrote, or a saved
net's folder; LIST has a path on each line. soundfile, soxr and numpy do the rest, one clip after the other.
"""

import pathlib
import sys

import numpy as np
import soundfile
import soxr


def onnx(net):
    import onnxruntime

    session = onnxruntime.InferenceSession(net, providers=['CPUExecutionProvider'])
    return lambda clip: session.run(['conv7'], {'waveform': clip[None]})[0][0]


def torch(net):
    from worker import torch1d

    run = torch1d(net, 'conv7')
    return lambda clip: run(clip[None])[0]


def keras(net):
    import tensorflow as tf

    from soundnet_tf.nets import model, saved

    features = model.features(saved.load_net(net), ['conv7'])
    signature = [tf.TensorSpec([1, None], tf.float32)]
    run = tf.function(lambda x: features(x, training=False), input_signature=signature)
    return lambda clip: run(clip[None])['conv7'].numpy()[0]


def main():
    kind, net, listed, out = sys.argv[1:]
    run, folder = {'onnx': onnx, 'torch': torch, 'keras': keras}[kind](net), pathlib.Path(out)
    folder.mkdir(parents=True)
    for path in pathlib.Path(listed).read_text().splitlines():
        samples, rate = soundfile.read(path, dtype='float32', always_2d=True)
        np.save(folder / f'{pathlib.Path(path).name}.npy', run(soxr.resample(samples[:, 0], rate, 22_050)))


if __name__ == '__main__':
    main()
