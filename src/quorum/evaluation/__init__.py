"""Score runs, with error bars; compare them; record and report them."""
