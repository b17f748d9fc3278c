"""The public names of `chat_actors`, and what importing them loads."""

import subprocess
import sys

import pytest

import chat_actors
from tests.patience import PATIENCE


@pytest.mark.parametrize("name", chat_actors.__all__)
def test_public_name_has_a_docstring(name):
    found = getattr(chat_actors, name)
    assert name == "__version__" or found.__doc__


def test_private_name_is_not_exported():
    with pytest.raises(AttributeError, match="'chat_actors' has no attribute 'Cell'"):
        chat_actors.Cell  # noqa: B018 - the access is the test


def test_client_import_loads_no_server():
    loaded = "import sys, chat_actors.client; print([m for m in sys.modules if m.startswith(('quart', 'hypercorn'))])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "[]\n"
