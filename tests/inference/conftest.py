import pytest

from soundnet_tf.export import add_tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, thin_spec

PLACES = ('sea', 'street', 'kitchen', 'wood')


@pytest.fixture(scope='session')
def net():
    return enliven(model.build(thin_spec(), labels={'places': PLACES}))


@pytest.fixture(scope='session')
def plain_folder(net, tmp_path_factory):
    """A saved net without net.tflite."""
    return saved.save_net(net, tmp_path_factory.mktemp('plain') / 'net')


@pytest.fixture(scope='session')
def quick_folder(net, tmp_path_factory):
    """The same with net.tflite."""
    pytest.importorskip('ai_edge_litert')
    folder = saved.save_net(net, tmp_path_factory.mktemp('quick') / 'net')
    add_tflite(folder)
    return folder
