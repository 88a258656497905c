"""Tables to print, in columns."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[object]]) -> str:
    """Rows as lines of text: the first column on the left, the others on the right of their widest cell."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join([str(row[0]).ljust(widths[0]), *(str(c).rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return '\n'.join(lines)


def confusion_table(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """To print: a row for each class, a column for each answer, by number."""
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    rows = [
        [f'{number} {label}', *(count or '.' for count in counts), f'{counts[index] / max(1, sum(counts)):.0%}']
        for index, (number, label, counts) in enumerate(zip(numbers, classes, confusion, strict=True))
    ]
    return columns([['class \\ answer', *numbers, 'right'], *rows])
