"""`quorum retrieve`: print the solved questions and passages that would be added to a question's prompt."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorum.cli.options import AsJson
from quorum.console import DONE, print_json, print_text

if TYPE_CHECKING:
    from quorum.ask.retrieve import RetrievedContext
    from quorum.question import Question


def retrieve_command(
    questions: Annotated[Path, typer.Argument(metavar="FILE", help="Question file to retrieve for.")],
    override: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Overrides of [retrieval], such as passages=3 search=hybrid."),
    ] = None,
    question: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Retrieve only for this question; may be repeated.")
    ] = None,
    solved: Annotated[Path | None, typer.Option(metavar="FILE", help="Solved questions to retrieve from.")] = None,
    background: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Texts to retrieve from: .txt, .md, .jsonl and .parquet."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Settings of a kernel; only [retrieval] is used.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Print the texts that are retrieved for each question.

    The texts are solved questions and passages of background; they are printed with their similarity. Near-duplicates
    of a solved question are never retrieved for it.
    """
    from quorum.ask.retrieve import Retriever
    from quorum.ask.settings import RetrievalSettings
    from quorum.config import apply_overrides, from_table, read_table
    from quorum.data.repair import read_clean_questions
    from quorum.errors import BadInput, list_some
    from quorum.model.embed import load_embedder, load_reranker

    table = read_table(settings).get("retrieval", {}) if settings else {}
    if background:
        table |= {"background": str(background), "passages": table.get("passages", 3)}
    if solved:
        table |= {"examples": table.get("examples") or 3}
    table = apply_overrides(table, override or [], "retrieval")
    known = {each.id: each for each in read_clean_questions(questions)}
    if missing := [id for id in question or [] if id not in known]:
        raise BadInput(f"{questions}: there is no question with id {list_some(missing)}")
    chosen = [known[id] for id in question] if question else list(known.values())
    examples = read_clean_questions(solved) if solved else []
    retriever = Retriever(from_table(RetrievalSettings, table, "retrieval"), examples, load_embedder, load_reranker)
    contexts = retriever.retrieve(chosen, test=True)
    documents = [make_context_document(each, context) for each, context in zip(chosen, contexts, strict=True)]
    if as_json:
        print_json(documents)
    else:
        for document in documents:
            print_context(document)
    return DONE


def make_context_document(question: "Question", context: "RetrievedContext") -> dict[str, Any]:
    """Return a question with its retrieved examples and passages, best first."""
    examples = zip(reversed(context.examples), reversed(context.example_hits), strict=True)
    passages = zip(reversed(context.passages), reversed(context.passage_hits), strict=True)
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


def print_context(document: dict[str, Any]) -> None:
    """Print a question with its retrieved examples and passages."""
    print_text(f"{document['id']}: {document['question']}")
    for example in document["examples"]:
        print_text(f"  {example['similarity']:.3f} {example['id']}: {example['question']} -> {example['answer']}")
    for passage in document["passages"]:
        print_text(f"  {passage['similarity']:.3f} {passage['source']}: {passage['text']}")
    if not document["examples"] and not document["passages"]:
        print_text("  nothing was retrieved")
