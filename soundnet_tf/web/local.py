"""Serve a folder to browsers on this machine."""

import functools
import http.server
import os
from collections.abc import Callable
from typing import Any, ClassVar

from soundnet_tf.errors import SoundNetError

ADDRESS = '127.0.0.1'
"""No other machine can connect; browsers allow the microphone to pages from here, without https."""


def serve(folder: str | os.PathLike[str], port: int, started: Callable[[str], object]) -> None:
    """Serve the folder until the process is interrupted; `started` gets the page's address.

    Port 0 is any free one. Raises SoundNetError if the port is in use, or not allowed.
    """
    handler = functools.partial(_Handler, directory=os.fspath(folder))
    try:
        server = http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        raise SoundNetError(
            f'--port={port}: {(error.strerror or str(error)).lower()}. Use another, or 0 for a free one'
        ) from None
    with server:
        started(f'http://{ADDRESS}:{server.server_port}/')
        server.serve_forever()


class _Handler(http.server.SimpleHTTPRequestHandler):
    # As browsers need them, whatever the system's table says.
    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        '.js': 'text/javascript',
        '.wasm': 'application/wasm',
    }

    def end_headers(self) -> None:
        # Another net may be served at the same address tomorrow.
        self.send_header('Cache-Control', 'no-cache')
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each file would hide the address."""
