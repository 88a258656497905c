"""Tables as text."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[object]]) -> str:
    """Rows as lines of text: the first column left-aligned, the others right-aligned."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join([str(row[0]).ljust(widths[0]), *(str(c).rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return '\n'.join(lines)


def confusion_table(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """As text: a row for each class, a column for each prediction, by number."""
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    rows = [
        [f'{number} {label}', *(count or '.' for count in counts), f'{counts[index] / max(1, sum(counts)):.0%}']
        for index, (number, label, counts) in enumerate(zip(numbers, classes, confusion, strict=True))
    ]
    return columns([['class \\ predicted', *numbers, 'recall'], *rows])
