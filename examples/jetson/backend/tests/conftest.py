"""What several test files use."""

import pytest

from .rig import Rig


@pytest.fixture
def rig(tmp_path):
    """A platform of real processes on free ports, ended with the test."""
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def data_dir(settings, tmp_path):
    """An empty data folder for code that runs inside the test."""
    from dataclasses import replace

    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, data_dir=tmp_path)
    return tmp_path
