"""Read the rows of a spreadsheet (.xlsx, .xls, .xlsb, .ods) as cells of text."""

from dataclasses import dataclass

from quorum.data.table.csv_reader import is_blank_line
from quorum.errors import BadInput


@dataclass(frozen=True, slots=True)
class SheetRows:
    """The rows of a sheet without its blank rows, their numbers in the sheet, its name, and the sheets left out."""

    rows: list[list[str]]
    numbers: list[int]
    name: str
    others: tuple[str, ...]


def read_sheet(content: bytes, where: str) -> SheetRows:
    """Read the first sheet with data of a workbook; whole numbers have no decimal point.

    Raises:
        BadInput: the workbook is damaged or has no data, or the package that reads it is missing, as at Kaggle.
    """
    try:
        from fastexcel import FastExcelError, read_excel
    except ImportError:
        raise BadInput(f"{where}: a spreadsheet needs the package fastexcel; install it, or save as CSV") from None

    try:
        workbook = read_excel(content)
        names = list(workbook.sheet_names)
        filled: list[tuple[str, list[list[str]], list[int]]] = []
        for name in names:
            frame = workbook.load_sheet(name, header_row=None, dtypes="string", skip_rows=0).to_polars()
            lines = [["" if cell is None else cell for cell in row] for row in frame.iter_rows()]
            kept = [number for number, row in enumerate(lines) if not is_blank_line(row)]
            if kept:
                filled.append((name, [lines[number] for number in kept], [number + 1 for number in kept]))
    except FastExcelError as error:
        raise BadInput(f"{where}: a damaged spreadsheet: {str(error).splitlines()[0]}") from None
    if not filled:
        raise BadInput(f"{where}: none of its sheets has data")
    name, rows, numbers = filled[0]
    width = max(max(place for place, cell in enumerate(row, 1) if cell.strip()) for row in rows)
    return SheetRows([row[:width] for row in rows], numbers, name, tuple(other[0] for other in filled[1:]))
