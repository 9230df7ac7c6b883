import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from daemon import Daemon  # noqa: E402


@pytest.fixture
def bare(tmp_path):
    d = Daemon(tmp_path / 's')
    yield d
    d.stop()


@pytest.fixture
def daemon(bare):
    bare.fill()
    return bare
