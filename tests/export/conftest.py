import pytest

from soundnet_tf.export import exporter, hub
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec

PLACES = ('sea', 'street', 'kitchen', 'wood')


@pytest.fixture(scope='session')
def net():
    return enliven(model.build(thin_spec(), labels={'places': PLACES}))


@pytest.fixture(scope='session')
def net_folder(net, tmp_path_factory):
    return saved.save_net(net, tmp_path_factory.mktemp('saved') / 'net', origin={'run': 'here'})


@pytest.fixture(scope='session')
def hub_folder(net, net_folder, tmp_path_factory):
    """The net as a TF-Hub module, made once."""
    folder = tmp_path_factory.mktemp('exports') / 'hub'
    exporter.carry_out(net, hub.plan(net), folder, noise(2), saved.read_facts(net_folder))
    return folder
