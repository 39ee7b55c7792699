"""`make fuzz`: an embedded server, an intake on it, and some thousand requests made from its description."""

import argparse
import sys
import tempfile
from pathlib import Path

from ops.embedded_redis import EmbeddedRedis
from tests.acceptance.intake import intake
from tests.fuzz.run import fuzz


def main() -> int:
    """Run it; the exit code is that of schemathesis, or 1 if there were too few cases."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=150, help="cases for each operation and phase, at most")
    parser.add_argument("--cases", type=int, default=2500, help="there must be so many")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder, "redis")) as server:
        with intake(Path(folder), server.url, "fuzz") as running:
            done = fuzz(running.client(), examples=asked.examples, seed=asked.seed)
        sys.stdout.write(done.text)
    return done.exit_code or int(done.cases < asked.cases)


if __name__ == "__main__":
    sys.exit(main())
