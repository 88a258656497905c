"""Download a file with a progress bar, by one process at a time; an interrupted download resumes."""

import os
import pathlib

from tqdm import tqdm

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.web.client import Client, PermanentError, RetryableError
from soundnet_tf.web.download import Download, Limits

LIMITS = Limits(tries=5, max_s=6 * 3600.0, max_bytes=1 << 30)


def fetch(url: str, target: pathlib.Path, hint: str, about_bytes: int | None = None) -> None:
    """Download `url` to `target`, unless it exists; folders are created as needed.

    If another process is downloading it, this waits. `about_bytes` is the bar's total if the server sends none. Raises
    SoundNetError, which ends with `hint`.
    """
    with storage.in_turn(target):
        if not target.exists():
            _fetch(url, target, hint, about_bytes)


def _fetch(url: str, target: pathlib.Path, hint: str, about_bytes: int | None) -> None:
    draft, tag = target.with_name(target.name + '.part'), target.with_name(target.name + '.tag')
    with draft.open('ab') as file, tqdm(unit='B', unit_scale=True, desc=target.name, leave=False, disable=None) as bar:

        def progress(held: int, total: int | None) -> None:
            bar.total = total or about_bytes
            bar.update(held - bar.n)

        try:
            Download(url, file, tag, Client(per_second=10, timeout_s=30), LIMITS, progress).run()
        except (PermanentError, RetryableError) as why:
            raise SoundNetError(f'{url}: download failed ({why}). {hint}') from None
    os.replace(draft, target)
    tag.unlink(missing_ok=True)
