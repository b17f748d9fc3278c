"""Sphinx's configuration."""

from chat_actors import __version__

project = "chat_actors"
release = __version__
copyright = "2026, the chat_actors authors"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"chat_actors {release}"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # `Attributes:` as a field list: autodoc lists the attributes of `:members:` already
default_role = "code"
