"""`python -m ops.kubernetes`: hold the manifests against Kubernetes' schemas and against our rules."""

import sys
from collections.abc import Iterator
from pathlib import Path

from ops.kubernetes import rules
from ops.kubernetes.manifests import Manifests, Object, read

HERE = Path(__file__).parent
KUSTOMIZATIONS = ("base", "example-redis")
# The oldest that knows all that is used here (a sleep before a stop), and the newest there are schemas for.
_VERSIONS = ("1.32", "1.37")


def main() -> int:
    """Print a sentence for each breach; returns the exit code."""
    found = 0
    for name in KUSTOMIZATIONS:
        manifests = read(HERE / name)
        for breach in (*_misspelled(manifests), *rules.breaches(manifests)):
            print(f"{name}: {breach}")  # noqa: T201  its output
            found += 1
    return 1 if found else 0


def _misspelled(manifests: Manifests) -> Iterator[str]:
    for one in manifests.objects:
        for version in _VERSIONS:
            wrong = _against_schema(one, version)
            if wrong:
                yield f"{one['kind']} {one['metadata']['name']}: Kubernetes {version}: {wrong}"
                break


def _against_schema(one: Object, version: str) -> str | None:
    import kubernetes_validate  # noqa: PLC0415  in the environment of `make compose-check` alone

    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as wrong:
        return f"{'.'.join(str(step) for step in wrong.path)}: {wrong.message}"
    return None


if __name__ == "__main__":
    sys.exit(main())
