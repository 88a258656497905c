"""The demo's story."""

from soundnet_tf import geometry
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8


def run() -> None:
    """Both nets are built, saved and loaded again, and hear a tone."""
    import tempfile

    import numpy as np

    from soundnet_tf import model, saved

    for spec in (SOUNDNET8, SOUNDNET5):
        with tempfile.TemporaryDirectory() as folder:
            saved.save(model.build(spec), f'{folder}/net')
            net = saved.load_net(f'{folder}/net')
        print(f'{spec.name}: {net.count_params():,} parameters; 20 s of sound become')
        for layer, values in model.features(net, spec.layer_names)(np.zeros([1, 441_000], np.float32)).items():
            print(f'  {layer}: {list(values.shape[1:])}, one frame each {geometry.hop(spec, layer)} samples')
