"""Write small competitions as people outside English, commas and UTF-8 make them."""

import csv
import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

KOREAN = ("사과는 과일인가", "바다는 푸른가", "나무는 자라는가", "돌은 무거운가", "강은 흐르는가")
GERMAN = ("Wie groß ist die Brücke", "Wie lang ist der Weg", "Wie schwer ist die Kugel", "Wie hoch ist der Bärenturm")
TOPICS = ("harbour", "meadow", "attic", "tower", "tunnel", "bridge")


def write_table(
    path: Path, several: Sequence[Mapping[str, object]], encoding: str = "utf-8", delimiter: str = ","
) -> None:
    """Write rows as CSV in an encoding and with a separator."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(several[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(several)
    path.write_bytes(out.getvalue().encode(encoding))


def write_korean(folder: Path, rows: int = 80) -> dict[str, str]:
    """Excel's CSV in Korean: cp949, answers 1 to 4, a placeholder 0 in the sample. Returns the answers of test."""
    folder.mkdir(parents=True)
    draw, solved, hidden = random.Random(3), [], {}
    for number in range(rows):
        choices = [f"{draw.choice(KOREAN)} {number} {place}번" for place in range(4)]
        right = draw.randrange(4)
        text = f"{draw.choice(KOREAN)}? 다음 중 {number}번 문항에 알맞은 것은 {choices[right]}이다."
        named = {"문항번호": f"문{number:03}", "문제": text} | {f"보기{p + 1}": c for p, c in enumerate(choices)}
        solved.append(named | {"정답": right + 1, "난이도": 1 + number % 4})
        hidden[f"문{number:03}"] = str(right + 1)
    test = [{name: cell for name, cell in row.items() if name != "정답"} for row in solved[-20:]]
    write_table(folder / "train.csv", solved[:-20], "cp949")
    write_table(folder / "test.csv", test, "cp949")
    sample = [{"문항번호": row["문항번호"], "정답": 0} for row in test]
    write_table(folder / "sample_submission.csv", sample, "cp949")
    return {str(row["문항번호"]): hidden[str(row["문항번호"])] for row in test}


def write_german(folder: Path, rows: int = 80) -> dict[str, str]:
    """Excel's CSV in German: semicolons, a BOM, decimal commas in the choices. Returns the answers of test."""
    folder.mkdir(parents=True)
    draw, solved = random.Random(4), []
    for number in range(rows):
        choices = [f"{draw.randrange(1000)},{place}5" for place in range(4)]
        right = draw.randrange(4)
        text = f"{draw.choice(GERMAN)} Nr. {number}; gemessen wurden {choices[right]} Meter?"
        named = {"Nr": f"F{number:03}", "Frage": text}
        named |= {f"Antwort {label}": choice for label, choice in zip("ABCD", choices, strict=True)}
        solved.append(named | {"Lösung": "ABCD"[right], "Punkte": "1,5"})
    test = [{name: cell for name, cell in row.items() if name != "Lösung"} for row in solved[-20:]]
    write_table(folder / "train.csv", solved[:-20], "utf-8-sig", ";")
    write_table(folder / "test.csv", test, "utf-8-sig", ";")
    write_table(folder / "sample_submission.csv", [{"Nr": row["Nr"], "Lösung": "A"} for row in test], "utf-8-sig", ";")
    return {str(row["Nr"]): str(row["Lösung"]) for row in solved[-20:]}


def write_yes_no(folder: Path, rows: int = 80) -> dict[str, bool]:
    """Yes or no about a passage, and a sample of 0.5 in every row. Returns the answers of test."""
    folder.mkdir(parents=True)
    draw, solved = random.Random(5), []
    for number in range(rows):
        place, right = draw.choice(TOPICS), draw.random() < 0.6
        passage = (
            f"Report {number}. In the {place} {'nothing' if not right else 'a lamp'} was found. It rained all day."
        )
        text = f"was a lamp found in the {place} of report {number}"
        solved.append({"id": f"y{number:03}", "passage": passage, "question": text, "answer": right})
    test = [{name: cell for name, cell in row.items() if name != "answer"} for row in solved[-20:]]
    write_table(folder / "train.csv", solved[:-20])
    write_table(folder / "test.csv", test)
    write_table(folder / "sample_submission.csv", [{"id": row["id"], "answer": 0.5} for row in test])
    return {str(row["id"]): bool(row["answer"]) for row in solved[-20:]}


def write_random_competition(folder: Path, train: int, backend: str = "") -> None:
    """`train` solved and 30 other random questions with three choices, and member.toml, which answers at random.

    Args:
        backend: a line for the member's [backend].
    """
    chance = random.Random(1)
    rows = [f"{chance.getrandbits(90):x}?,\"['{n} x', '{n} y', '{n} z']\"" for n in range(train + 30)]
    for name, part in (("train", rows[:train]), ("test", rows[train:])):
        answer = ",answer" if name == "train" else ""
        lines = [f"{name}{n},{row}{',' + chance.choice('ABC') if answer else ''}" for n, row in enumerate(part)]
        (folder / f"{name}.csv").write_text(f"id,question,choices{answer}\n" + "\n".join(lines) + "\n")
    (folder / "sample_submission.csv").write_text("id,answer\n" + "".join(f"test{n},A\n" for n in range(30)))
    (folder / "member.toml").write_text(
        f'run = "m"\nquestions = ["{folder}/test.csv"]\nout = "out"\n[backend]\nname = "fake"\n{backend}\n'
    )
