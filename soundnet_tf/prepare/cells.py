"""Cells of CSV files that a spreadsheet shows as text: no title from the web becomes a formula."""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def neutral(cell: str) -> str:
    """A cell with an apostrophe before what a spreadsheet would run; `plain` reads it back."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """The cell that `neutral` wrote."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
