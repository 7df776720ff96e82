"""What is shown beside questions: which solved questions and which pieces of background, and how each was found."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.console import DONE, print_json, run_program

if TYPE_CHECKING:
    from quorum.ask.retrieve import RetrievedContext
    from quorum.question import Question


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="exit code: 0 done, 2 bad input")
    parser.add_argument(
        "questions",
        type=Path,
        help="a question file, as the one to submit; a solved one is never shown its own near-duplicates",
    )
    parser.add_argument("--question", metavar="ID", action="append", help="only this one; may be repeated")
    parser.add_argument("--solved", type=Path, help="solved questions to show as examples")
    parser.add_argument("--background", type=Path, help="folder of .txt, .md, .jsonl and .parquet")
    parser.add_argument("--settings", type=Path, help="a kernel's TOML, for its [retrieval] table")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "override", nargs="*", metavar="key=value", help="a setting of retrieval: passages=3 search=hybrid"
    )
    args = parser.parse_args()

    import tomllib

    from quorum.ask.retrieve import Retriever
    from quorum.ask.settings import RetrievalSettings
    from quorum.config import apply_overrides, from_table
    from quorum.data.read import read_records
    from quorum.data.repair import repair_table
    from quorum.errors import BadInput, list_some
    from quorum.model.embed import load_embedder, load_reranker

    table = tomllib.loads(args.settings.read_text(encoding="utf-8")).get("retrieval", {}) if args.settings else {}
    if args.background:
        table |= {"background": str(args.background), "passages": table.get("passages", 3)}
    if args.solved:
        table |= {"examples": table.get("examples") or 3}
    table = apply_overrides(table, args.override, "retrieval")
    asked = {question.id: question for question in repair_table(read_records(args.questions)).questions}
    if lost := [id for id in args.question or [] if id not in asked]:
        raise BadInput(f"{args.questions}: has no question {list_some(lost)}")
    chosen = [asked[id] for id in args.question] if args.question else list(asked.values())
    solved = repair_table(read_records(args.solved)).questions if args.solved else []
    shown = Retriever(from_table(RetrievalSettings, table, "retrieval"), solved, load_embedder, load_reranker).retrieve(
        chosen, test=True
    )
    found = [document(question, each) for question, each in zip(chosen, shown, strict=True)]
    if args.json:
        print_json(found)
    else:
        for each in found:
            tell(each)
    return DONE


def document(question: "Question", shown: "RetrievedContext") -> dict[str, Any]:
    """One question and what is shown beside it, the best first."""
    examples = zip(reversed(shown.examples), reversed(shown.example_hits), strict=True)
    passages = zip(reversed(shown.passages), reversed(shown.passage_hits), strict=True)
    return {
        "id": question.id,
        "question": question.text,
        "examples": [
            {
                "id": example.id,
                "similarity": round(hit.similarity, 3),
                "question": example.text,
                "answer": example.choice(example.answer) if example.choices and example.answer else example.answer,
            }
            for example, hit in examples
        ],
        "passages": [
            {"source": passage.source, "similarity": round(hit.similarity, 3), "text": passage.prompt_text}
            for passage, hit in passages
        ],
    }


def tell(found: dict[str, Any]) -> None:
    """The same in lines."""
    print(f"{found['id']}: {found['question']}")
    for example in found["examples"]:
        print(f"  {example['similarity']:.3f} {example['id']}: {example['question']} -> {example['answer']}")
    for passage in found["passages"]:
        print(f"  {passage['similarity']:.3f} {passage['source']}: {passage['text']}")
    if not found["examples"] and not found["passages"]:
        print("  nothing is shown")


if __name__ == "__main__":
    run_program(main)
