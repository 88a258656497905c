"""Download a file with a progress bar, by one process at a time; an interrupted download resumes."""

import pathlib
from typing import IO

from soundnet_tf import progress
from soundnet_tf.errors import SoundNetError
from soundnet_tf.web.client import Client, PermanentError, RetryableError
from soundnet_tf.web.download import Download, Limits, whole_file

LIMITS = Limits(tries=5, max_s=6 * 3600.0, max_bytes=1 << 30)


def fetch(url: str, target: pathlib.Path, hint: str, about_bytes: int | None = None) -> None:
    """Download `url` to `target`, unless it exists; folders are created as needed.

    If another process is downloading it, this waits. `about_bytes` is the bar's total if the server sends none. Raises
    SoundNetError, which ends with `hint`.
    """

    def fill(file: IO[bytes], draft: pathlib.Path, tag: pathlib.Path) -> None:
        with progress.bar(unit='B', unit_scale=True, desc=target.name) as bar:

            def show(held: int, total: int | None) -> None:
                bar.total = total or about_bytes
                bar.update(held - bar.n)

            Download(url, file, tag, Client(per_second=10, timeout_s=30), LIMITS, show).run()

    try:
        whole_file(target, fill)
    except (PermanentError, RetryableError) as why:
        raise SoundNetError(f'{url}: download failed ({why}). {hint}') from None
