"""What an extension imports: typed, complete, and not loaded by who needs none of it."""

import subprocess
import sys

import pytest

import chat_actors


@pytest.mark.parametrize("name", chat_actors.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name):
    found = getattr(chat_actors, name)
    assert name == "__version__" or found.__doc__


def test_what_is_not_public_is_not_there():
    with pytest.raises(AttributeError, match="'chat_actors' has no attribute 'Cell'"):
        chat_actors.Cell  # noqa: B018 - looking is the test


def test_a_clients_program_loads_no_server():
    loaded = "import sys, chat_actors.client; print([m for m in sys.modules if m.startswith(('quart', 'hypercorn'))])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
