"""Make the sample competition; the same seed gives the same bytes."""

import argparse
from pathlib import Path

from quorum.console import DONE, print_json, run_program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Folder to write the files to, such as data/sample.")
    parser.add_argument("--seed", type=int, default=42, help="Seed of the invented facts and questions (default 42).")
    parser.add_argument("--json", action="store_true", help="Print the files and their sizes in bytes as JSON.")
    args = parser.parse_args()

    from sample.files import make_sample_files

    sizes = {}
    for name, text in make_sample_files(args.seed).items():
        path = args.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes[name] = path.write_bytes(text.encode("utf-8"))
    if args.json:
        print_json(sizes)
    else:
        print(f"{args.folder}: {len(sizes)} files, {sum(sizes.values()):,} bytes")
    return DONE


if __name__ == "__main__":
    run_program(main)
