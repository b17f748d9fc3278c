"""One folder of cached keys for all load tests."""

import pytest

from load.keys import cached_keys, keys_folder


@pytest.fixture(scope="session", autouse=True)
def _shared_keys(tmp_path_factory):
    """Make the keys of simulated users once for all load tests of this worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        cached_keys(keys_folder(), 2)
        yield
