"""Generate CSV files as people make them: bare quotes, cut rows, extra cells, blank lines, mixed line ends."""

import random

HEADER = "id,question,A,B,C,answer"
_CELLS = [
    "x",
    "5",
    "",
    " ",
    "yes, no",
    '5" tube',
    '"',
    '""',
    "two\nlines",
    "a\0b",
    "a\rb",
    "é",
    "답",
    "a;b",
    "a|b",
    "a\tb",
    "'",
    "\\",
] + ['say "no"', '"no"', 'He said ""no""', "NA", "null", "1,200", "1.5", "-", "\u2028", "\u200b", "=1+1", "{", "[1]"]
_ENDS = ("\n", "\r\n", "\r")


def make_sloppy_file(random_source: random.Random, rows: int) -> str:
    """Return the text of a file with a header; about every third row is sloppy."""
    end = random_source.choice(_ENDS)
    lines = [HEADER]
    for number in range(rows):
        cells = [str(number), *(random_source.choice(_CELLS) for _ in range(4)), random_source.choice("ABC")]
        line = ",".join(map(_quote, cells))
        if random_source.random() < 0.35:
            line = _spoil(random_source, cells, line)
        lines.append(line)
    return end.join(lines) + random_source.choice(["", end])


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n\r') else cell


def _spoil(random_source: random.Random, cells: list[str], line: str) -> str:
    match random_source.randrange(9):
        case 0:
            return ",".join(cells)  # nothing is quoted
        case 1:
            return line[: random_source.randrange(len(line) + 1)]  # cut short
        case 2:
            return line + "," * random_source.randrange(1, 3)
        case 3:
            return line + "\n\n"
        case 4:
            place = random_source.randrange(len(line) + 1)
            return line[:place] + '"' + line[place:]
        case 5:
            return line.replace('"', "", 1)
        case 6:
            return line.replace(",", random_source.choice(";|\t"), 1)
        case 7:
            return ", ".join(f'"{cell}"' for cell in cells)  # a space before each quote
        case _:
            return line + random_source.choice([" ", "\r", "\n ", "\x0b", "\x1c", "\x85"])
