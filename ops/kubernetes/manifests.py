"""The manifests as kustomize puts them together, without kustomize: files, objects, generated names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
# Their files are made by whoever installs, and never committed.
SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Manifests:
    """
    One kustomization with all that it builds on.

    Args:
        objects: As they stand in the files, in order.
        generated: (kind, name) of what its generators make.
        settings: The text of each file in a ConfigMap, by name of the file.
        problems: Sentences about files that are missing, or that nobody lists.
    """

    objects: Sequence[Object]
    generated: frozenset[tuple[str, str]]
    settings: dict[str, str]
    problems: Sequence[str]

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        """Yield the objects of these kinds."""
        yield from (one for one in self.objects if one["kind"] in kinds)


def read(folder: Path) -> Manifests:
    """
    Return what the kustomization in *folder* builds.

    Raises:
        OSError: If there is no kustomization.
        yaml.YAMLError: If a file is no YAML.
    """
    wish = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    objects: list[Object] = []
    generated: set[tuple[str, str]] = set()
    settings: dict[str, str] = {}
    problems: list[str] = []
    for name in wish.get("resources", []):
        file = folder / name
        if file.is_dir():
            below = read(file)
            objects += below.objects
            generated |= below.generated
            settings |= below.settings
            problems += below.problems
        elif file.is_file():
            objects += filter(None, yaml.safe_load_all(file.read_text(encoding="utf-8")))
        else:
            problems.append(f"{folder.name}/kustomization.yaml: lists {name}, which is not there")
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in wish.get(key, []):
            generated.add((kind, generator["name"]))
            for source in generator.get("files", []):
                file = folder / source.rpartition("=")[2]
                if file.parent.name == SECRETS and kind == "Secret":
                    continue
                if kind == "ConfigMap" and file.is_file():
                    settings[file.name] = file.read_text(encoding="utf-8")
                else:
                    problems.append(
                        f"{folder.name}/kustomization.yaml: there is no {source}, or it is no secret's file"
                    )
    listed = {*wish.get("resources", []), "kustomization.yaml"}
    forgotten = sorted(file.name for file in folder.glob("*.yaml") if file.name not in listed)
    problems += [f"{folder.name}/kustomization.yaml: does not list {name}" for name in forgotten]
    return Manifests(objects, frozenset(generated), settings, problems)
