"""`help()` on the public names."""

import importlib
import inspect
import pkgutil
import pydoc

import msgspec
import pytest

import chat_actors

# `UserId` is an alias of an annotated `str`, without a docstring of its own.
NAMES = [name for name in chat_actors.__all__ if name not in ("__version__", "UserId")]


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_docstring(name):
    found = getattr(chat_actors, name)
    text = pydoc.plain(pydoc.render_doc(found))
    assert inspect.getdoc(found).splitlines()[0] in text


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(chat_actors, name))])
def test_public_class_has_its_own_docstring(name):
    assert vars(getattr(chat_actors, name)).get("__doc__")


@pytest.mark.parametrize("name", ["mailbox_capacity", "supervision", "stop_within", "context"])
def test_help_shows_the_attributes_of_an_actor(name):
    assert f"{name}:" in pydoc.plain(pydoc.render_doc(chat_actors.Actor))


def _structs():
    for module in pkgutil.walk_packages(chat_actors.__path__, "chat_actors."):
        if not module.name.endswith("__main__"):
            for found in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(found) and issubclass(found, msgspec.Struct) and found.__module__ == module.name:
                    yield found


def test_annotations_of_every_struct_can_be_resolved():
    """msgspec resolves them for a signature, so names imported only for type checking would break `help()`."""
    for struct in _structs():
        assert inspect.signature(struct)
