"""The app for plain Hypercorn: `hypercorn 'chat_actors.server.asgi:app'`.

The settings come from the environment, and from the TOML file that `CHAT_ACTORS_CONFIG` names. `server.bind`,
`server.certfile` and `server.keyfile` have no effect: Hypercorn has its own options for them.
"""

from __future__ import annotations

import os
import signal
import sys

from chat_actors.server.app import create_app
from chat_actors.server.extension_loading import ExtensionError
from chat_actors.server.settings_sources import SettingsError, load_settings


def _end_process(error: BaseException) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


try:
    app = create_app(load_settings(None, os.environ, {}).settings, on_failure=_end_process)
except (ExtensionError, SettingsError) as error:
    sys.exit(f"chat-actors: {error}")
