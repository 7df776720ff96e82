"""Train a model on the training folds of solved questions, for use with kernels/infer.py.

python kernels/train.py kernels/train-encoder.toml [key=value ...] [--smoke]
"""

from quorum.console import print_status, progress_bar, run_story
from quorum.disk import name_file_in_errors
from quorum.train.settings import TrainSettings
from quorum.train.trainer import list_trainer_settings, train_model


def main(settings: TrainSettings) -> None:
    """Train on the training folds only, and report the result."""
    from quorum.train.build_rows import rows_for_training
    from quorum.train.resume import clear_training

    out, trainer = settings.out, settings.trainer
    if settings.smoke:
        out, trainer = out.with_name(f"{out.name}-smoke"), {**trainer, "smoke": True}
        clear_training(out)
    rows = rows_for_training(settings, out, print_status)
    with progress_bar(settings.run) as progress, name_file_in_errors(out):
        trained = train_model(trainer, rows, out, progress, print_status)
    rate = trained.tokens / trained.seconds
    loss = f"loss {trained.losses[0][1]:.3f} -> {trained.losses[-1][1]:.3f}"
    print_status(
        f"{settings.run}: {trained.steps} steps, {trained.seconds:.0f} s, {rate:.0f} tokens/s, {loss}: {trained.folder}"
    )


if __name__ == "__main__":
    run_story(TrainSettings, main, __doc__, list_trainer_settings)
