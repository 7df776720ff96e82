"""Run the command `quorum VERB`: dispatch to a verb, print its help, turn errors into exit codes."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from quorum.cli.ablate import ablate_command
from quorum.cli.agreement import agreement_command
from quorum.cli.benchmark import benchmark_command
from quorum.cli.bundle import bundle_command
from quorum.cli.check import check_command
from quorum.cli.compare import compare_command
from quorum.cli.compare_experts import compare_experts_command
from quorum.cli.compare_methods import compare_methods_command
from quorum.cli.doctor import doctor_command
from quorum.cli.experiment import experiment_command
from quorum.cli.explore import explore_command
from quorum.cli.guard import guard_files, refuse_empty_paths
from quorum.cli.ladder import ladder_command
from quorum.cli.leaderboard import leaderboard_command
from quorum.cli.letter_bias import letter_bias_command
from quorum.cli.map_experts import map_experts_command
from quorum.cli.merge import merge_command
from quorum.cli.profile_experts import profile_experts_command
from quorum.cli.prune_experts import prune_experts_command
from quorum.cli.push import push_command
from quorum.cli.quantise import quantise_command
from quorum.cli.read_replies import read_replies_command
from quorum.cli.record import record_command
from quorum.cli.report import report_command
from quorum.cli.retrieve import retrieve_command
from quorum.cli.rows import rows_command
from quorum.cli.run import run_command
from quorum.cli.safety import safety_command
from quorum.cli.sample import sample_command
from quorum.cli.score import score_command
from quorum.cli.send import send_command
from quorum.cli.show import show_command
from quorum.cli.split import split_command
from quorum.cli.submit import submit_command
from quorum.cli.sweep import sweep_command
from quorum.cli.vote import vote_command
from quorum.cli.weak_subjects import weak_subjects_command
from quorum.cli.wheels import wheels_command
from quorum.console import BAD_INPUT, DONE, print_status, print_text, run_program

VERBS: Mapping[str, Mapping[str, Callable[..., int]]] = {
    "Submit": {
        "submit": submit_command,
        "vote": vote_command,
        "ladder": ladder_command,
        "ablate": ablate_command,
        "compare-methods": compare_methods_command,
        "sweep": sweep_command,
        "record": record_command,
        "leaderboard": leaderboard_command,
        "show": show_command,
        "report": report_command,
    },
    "Data": {
        "doctor": doctor_command,
        "explore": explore_command,
        "split": split_command,
        "retrieve": retrieve_command,
    },
    "Models": {
        "run": run_command,
        "rows": rows_command,
        "sample": sample_command,
        "weak-subjects": weak_subjects_command,
        "merge": merge_command,
        "quantise": quantise_command,
        "profile-experts": profile_experts_command,
        "map-experts": map_experts_command,
        "prune-experts": prune_experts_command,
        "compare-experts": compare_experts_command,
    },
    "Evaluation": {
        "experiment": experiment_command,
        "benchmark": benchmark_command,
        "score": score_command,
        "compare": compare_command,
        "check": check_command,
        "read-replies": read_replies_command,
        "letter-bias": letter_bias_command,
        "safety": safety_command,
        "agreement": agreement_command,
    },
    "Kaggle": {"bundle": bundle_command, "wheels": wheels_command, "push": push_command, "send": send_command},
}
_EPILOG = (
    "Exit codes: 0 success, 1 a problem in a file or a failed kernel, 2 invalid input or a disk error, 3 an unexpected "
    "error, whose traceback is in the file that is named, 130 stopped by the user."
)
_STOPPED = 130
_CONTEXT = {"help_option_names": ["-h", "--help"]}
# For `run`, which passes its options on to the kernel's own parser.
_PASS_OPTIONS = {**_CONTEXT, "ignore_unknown_options": True, "allow_interspersed_args": False}


class VerbCommand(TyperCommand):
    """A verb, whose help names arguments by their metavars, without type and braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                name, text = record
                if param.param_type_name == "argument":
                    name, text = name.split(" <")[0], text.removesuffix("  [required]")
                rows[param.param_type_name].append((name, text))
        for kind, records in rows.items():
            if records:
                with formatter.section(f"{kind.capitalize()}s"):
                    formatter.write_dl(records)


class VerbGroup(TyperGroup):
    """The verbs, whose help lists them under the headings of `VERBS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                helps = {name: (self.commands[name].help or "").split("\n\n")[0] for name in verbs}
                formatter.write_dl([(name.ljust(width), text.rstrip(".")) for name, text in helps.items()])


def make_app() -> typer.Typer:
    """Return the application with all verbs."""
    app = typer.Typer(cls=VerbGroup, rich_markup_mode=None, epilog=_EPILOG, context_settings=_CONTEXT)
    app.callback()(_print_general_help)
    for verbs in VERBS.values():
        for name, verb in verbs.items():
            app.command(name, cls=VerbCommand, context_settings=_PASS_OPTIONS if verb is run_command else _CONTEXT)(
                guard_files(verb)
            )
    return app


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code; without arguments print the help.

    An error in the arguments, or a failed kernel, is printed as one line on standard error.
    """
    refuse_empty_paths(arguments)
    command = get_command(make_app())
    try:
        code: int = command.main(list(arguments) or ["--help"], prog_name="quorum", standalone_mode=False)
    except typer.TyperException as error:
        print_status(f"error: {_describe_usage_error(error)}")
        return BAD_INPUT
    except RuntimeError as error:
        from quorum.competition.kernel_process import KernelFailed

        if not isinstance(error, KernelFailed):
            raise
        print_status("stopped" if error.exit_code == _STOPPED else f"error: {error}")
        return error.exit_code
    if code == _STOPPED:
        print_status("stopped")
    return code


def main() -> None:
    """Run the command line and exit with its code."""
    run_program(lambda: run_command_line(sys.argv[1:]))


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print_text(f"quorum {version('quorum')}")
        raise typer.Exit(DONE)


def _print_general_help(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Make submissions for multiple-choice competitions, and estimate their scores before they are sent."""


def _describe_usage_error(error: typer.TyperException) -> str:
    """Return the error in one line that starts in lower case, with a hint to the verb's help."""
    text = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    text = text[:1].lower() + text[1:]
    context = getattr(error, "ctx", None)
    return f"{text}; hint: {context.command_path} --help" if context else text
