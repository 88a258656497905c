"""The user's folder of a run of tests: the original net is converted once in it, for all processes of the run."""

import os

import pytest


@pytest.fixture(scope='session', autouse=True)
def original_home(tmp_path_factory, request):
    base = tmp_path_factory.getbasetemp()
    # Under pytest-xdist each process has a folder of its own in that of the run.
    folder = (base.parent if hasattr(request.config, 'workerinput') else base) / 'home'
    os.environ['SOUNDNET_HOME'] = str(folder)
    return folder
