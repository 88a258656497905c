"""The tutorials as Jupyter notebooks, beside their pages: `tutorials/NAME.ipynb`, by jupytext.

Commands become cells for `%%bash`, which Jupyter runs.
"""

import pathlib
from typing import Any

FOLDER = 'tutorials'


def _link(app: Any, name: str, source: list[str]) -> None:
    """Put a link to its notebook below the title of a tutorial."""
    folder, _, stem = name.rpartition('/')
    if folder == FOLDER:
        title, _, rest = source[0].partition('\n')
        source[0] = f'{title}\n\n<p><a href="{stem}.ipynb" download>This page as a notebook</a></p>\n{rest}'


def _write(app: Any, error: Exception | None) -> None:
    if error or app.builder.name != 'html':
        return
    import jupytext

    for page in sorted(pathlib.Path(app.srcdir, FOLDER).glob('*.md')):
        notebook = jupytext.read(page, fmt='md')
        jupytext.write(notebook, pathlib.Path(app.outdir, FOLDER, f'{page.stem}.ipynb'), fmt='ipynb')


def setup(app: Any) -> dict[str, Any]:
    """Add the links and the notebooks."""
    app.connect('source-read', _link)
    app.connect('build-finished', _write)
    return {'parallel_read_safe': True}
