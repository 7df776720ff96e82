"""Run the command line as `python -m quorum.cli`."""

from quorum.cli.main import main

main()
