"""How many examples hypothesis tries."""

import os

# EXAMPLES in the environment: try this many examples, and others in each run. None: try the same ones in each run.
HUNTED = int(os.environ["EXAMPLES"]) if "EXAMPLES" in os.environ else None


def examples(usual: int) -> int:
    """Return the number of examples for a slow test: *usual*, or what EXAMPLES asks for."""
    return HUNTED or usual
