"""The directive `command-help`: what a command prints for --help."""

import subprocess
import sys
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive


class CommandHelp(Directive):
    """Takes the name of the command, such as `soundnet-tag`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A literal block."""
        name = self.arguments[0].removeprefix('soundnet-').replace('-', '_')
        argv = [self.arguments[0], '--help']
        code = f'import sys; from soundnet_tf.bin import {name}; sys.argv = {argv}; {name}.run()'
        text = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True).stdout
        return [nodes.literal_block(text, text, language='text')]


def setup(app: Any) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive('command-help', CommandHelp)
    return {'parallel_read_safe': True}
