"""One folder of cached keys for all load tests, and turns for those that load the machine."""

import fcntl
import os
import tempfile

import pytest

from load.keys import cached_keys, keys_folder
from tests.conftest import SERIAL, path_in_tests

SHARED_TEMP = tempfile.gettempdir()  # as the suite starts: later it has a folder of its own


@pytest.fixture(scope="session", autouse=True)
def _shared_keys(tmp_path_factory):
    """Make the keys of simulated users once for all load tests of this worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        cached_keys(keys_folder(), 2)
        yield


@pytest.fixture(scope="module", autouse=True)
def _turn(request):
    """Copies of the suite on one machine run the load tests by turns: several at once measure each other.

    The lock is on the folder itself, so that no lock file remains.
    """
    if path_in_tests(request.path) not in SERIAL:
        yield
        return
    folder = os.open(SHARED_TEMP, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
