"""Steps of setuptools, named by pyproject.toml: what the wheel has, and the page of a package index."""

import re
from pathlib import Path

from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

# Packages are chosen in pyproject.toml. These modules lie in a package that the wheel has.
NOT_INSTALLED = frozenset({"ops.installation", "ops.redis_group", "ops.tcp_proxy", "ops.docker.rules"})
# What `outdial files` writes and lies outside the packages; in the wheel it is below ops/checkout.
DOCUMENTS = ("CHANGELOG.md", "README.md", "SECURITY.md", "docker-compose.yml", "docs/**/*.md")
CHECKOUT = "ops/checkout"
_RELATIVE_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)([^)\s]*)\)")
_WHERE = (
    "The files that this page names are in the source archive; `outdial files DIR` writes those of operations.\n\n"
)


class BuildPy(build_py):
    """Copies the modules that an installation imports, and the documents."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the modules of a package as (package, module, file)."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if f"{package}.{module[1]}" not in NOT_INSTALLED]

    def run(self) -> None:
        """Build; an editable installation finds the documents in the checkout."""
        super().run()
        for pattern in () if self.editable_mode else DOCUMENTS:
            for file in sorted(Path().glob(pattern)):
                target = Path(self.build_lib, CHECKOUT, file)
                self.mkpath(str(target.parent))
                self.copy_file(str(file), str(target))


class EggInfo(egg_info):
    """Writes the metadata, with a README whose links do not need the repository."""

    def finalize_options(self) -> None:
        """Name files instead of linking to them: the project has no public address to link to."""
        super().finalize_options()
        metadata = self.distribution.metadata
        if metadata.long_description:
            metadata.long_description = long_description(metadata.long_description)


def long_description(readme: str) -> str:
    """Return a README in which the names of files stand where it links to them; repeating it changes nothing."""

    def named(link: re.Match[str]) -> str:
        label, file = link[1], link[2].partition("#")[0]
        if not file:
            return label
        return f"`{file}`" if label.strip("`") == file else f"{label} (`{file}`)"

    head, first, rest = _RELATIVE_LINK.sub(named, readme).partition("## ")
    return f"{head}{'' if _WHERE in head else _WHERE}{first}{rest}"
