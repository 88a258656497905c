"""Tables of pandas."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from soundnet_tf.errors import MissingTool

if TYPE_CHECKING:
    import pandas as pd


def frame(values: ArrayLike, rows: ArrayLike, rows_are: str, columns: Sequence[str]) -> 'pd.DataFrame':
    """`[rows, columns]` with the names of both. Raises MissingTool without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingTool('pandas', 'tables in Python', 'pandas') from None
    return pd.DataFrame(values, pd.Index(rows, name=rows_are), pd.Index(columns))
