"""An independent SoundNet in plain numpy, to hold the Keras net against.

Written from the paper's tables and the definition of each operation, sharing no code with the
package but the table itself: an explicit loop over time, no framework.
"""

import numpy as np


def convolve(x, kernel, bias, stride, paddings, dilation=1):
    """[time, in] with kernel [k, in, out] -> [time', out]; Torch's and Keras' convolution (no flip)."""
    before, behind = (np.zeros((zeros, x.shape[1])) for zeros in paddings)
    padded = np.concatenate([before, x, behind])
    width = (kernel.shape[0] - 1) * dilation + 1
    steps = [padded[t : t + width : dilation] for t in range(0, len(padded) - width + 1, stride)]
    return np.einsum('tki,kio->to', np.stack(steps), kernel) + bias


def normalise(x, gamma, beta, mean, variance, epsilon=1e-5):
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def max_pool(x, size, step):
    return np.stack([x[t : t + size].max(axis=0) for t in range(0, len(x) - size + 1, step)])


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def forward(spec, weights, waveform):
    """[samples] -> every layer and head by name, [time, channels]; weights as in a saved net."""
    x = waveform.astype(np.float64)[:, None] * 256
    outputs = {}
    for row in spec.layers:
        w = {key.split('/')[1]: value for key, value in weights.items() if key.split('/')[0] == row.name}
        if w:
            x = convolve(x, w['kernel'], w['bias'], row.stride, row.paddings, row.dilation or 1)
            x = normalise(x, w['gamma'], w['beta'], w['moving_mean'], w['moving_variance'])
            x = np.maximum(x, 0)
        else:
            x = max_pool(x, row.kernel, row.step or row.kernel)
        outputs[row.name] = x
    for head in spec.heads:
        logits = convolve(x, weights[f'{head.name}/kernel'], weights[f'{head.name}/bias'], head.stride, head.paddings)
        outputs[f'{head.name}_logits'] = logits
        outputs[head.name] = softmax(logits)
    return outputs
