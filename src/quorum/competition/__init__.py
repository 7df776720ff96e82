"""Work on one competition: its folder, runs, ladder."""
