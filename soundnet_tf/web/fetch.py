"""A file of the web becomes a local one: whole or not at all, gone on with where it was broken off, with a bar."""

import os
import pathlib

from tqdm import tqdm

from soundnet_tf.errors import SoundNetError
from soundnet_tf.web.client import Again, Client, Refused
from soundnet_tf.web.download import Download, Limits

LIMITS = Limits(tries=5, longest_s=6 * 3600.0, most_bytes=1 << 30)


def fetch(url: str, target: pathlib.Path, way_out: str, about_bytes: int | None = None) -> None:
    """Write what is at `url` to `target`, whose folders are made as needed.

    `about_bytes` is for the bar where the server does not tell. Raises SoundNetError, which ends with `way_out`.
    """
    draft, tag = target.with_name(target.name + '.part'), target.with_name(target.name + '.tag')
    target.parent.mkdir(parents=True, exist_ok=True)
    with draft.open('ab') as file, tqdm(unit='B', unit_scale=True, desc=target.name, leave=False, disable=None) as bar:

        def tell(held: int, total: int | None) -> None:
            bar.total = total or about_bytes
            bar.update(held - bar.n)

        try:
            Download(url, file, tag, Client(per_second=10, timeout_s=30), LIMITS, tell).run()
        except (Refused, Again) as why:
            raise SoundNetError(f'{url} was not fetched: {why}. {way_out}') from None
    os.replace(draft, target)
    tag.unlink(missing_ok=True)
