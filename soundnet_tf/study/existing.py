"""Rows of a study for nets that exist: the published weights, saved nets, and models of others."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import keras

from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation import embedders
from soundnet_tf.evaluation.embedders import AnyEmbedder
from soundnet_tf.experiments.tables import Table, TableRow
from soundnet_tf.nets import registry
from soundnet_tf.study.material import naming

COMPARISONS, LAYERS = ('scenes', 'sounds'), 'layers'
"""Tables with one row for each net, and the one with a row for each of its layers."""


def with_rows(tables: Sequence[Table], nets: Mapping[str, str], source: str) -> tuple[Table, ...]:
    """The tables with rows for these nets, by name what `embedders.make` accepts; each is loaded once, as a test.

    Raises SoundNetError for one that cannot be loaded, or whose rows would have the name of another; errors name
    `source`, where the nets are listed.
    """
    added: dict[str, list[TableRow]] = {}
    for name, weights in nets.items():
        with naming(f'{source}: nets: {name}'):
            embedder = embedders.make(weights)
        for table in tables:
            rows = list(_rows(table, name, weights, embedder))
            there = {row.name for row in (*table.rows, *added.get(table.name, ()))}
            if same := there & {row.name for row in rows}:
                raise SoundNetError(
                    f'{source}: nets: {name}: the table {table.name} has a row {min(same)}. Use another name'
                )
            added.setdefault(table.name, []).extend(rows)
        del embedder
        keras.utils.clear_session()
    return tuple(dataclasses.replace(table, rows=(*table.rows, *added.get(table.name, ()))) for table in tables)


def _rows(table: Table, name: str, weights: str, embedder: AnyEmbedder) -> Iterator[TableRow]:
    is_published = weights in registry.PACKAGED or weights in registry.PUBLISHED
    title = f'{name}, published weights' if is_published else name
    net = TableRow(title, 'existing', weights=weights, fingerprint=embedder.fingerprint)
    if table.name in COMPARISONS:
        yield dataclasses.replace(net, published=_published(table, weights, None))
    if table.name == LAYERS:
        # In the paper's order, those that the net has.
        for layer in dict.fromkeys(row.layer for row in table.rows):
            try:
                embedder.resolve_layer(layer)
            except UnknownLayer:
                continue
            published = _published(table, weights, layer)
            yield dataclasses.replace(net, name=f'{layer}, {title}', layer=layer, published=published)


def _published(table: Table, weights: str, layer: str | None) -> Mapping[str, tuple[float, str]]:
    """The paper's numbers for its own net, which are those of the row that trains it here."""
    same = (row for row in table.rows if (row.start, row.net, row.layer) == ('distilled', weights, layer))
    return next((row.published for row in same), {})
