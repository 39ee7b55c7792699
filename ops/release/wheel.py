"""The step of setuptools that keeps the modules of tests and checks out of the wheel; pyproject.toml names it."""

from setuptools.command.build_py import build_py

# Packages are chosen in pyproject.toml. These modules lie in a package that the wheel has.
NOT_INSTALLED = frozenset({"ops.installation", "ops.redis_group", "ops.tcp_proxy", "ops.docker.rules"})


class BuildPy(build_py):
    """Copies the modules that an installation imports."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the modules of a package as (package, module, file)."""
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if f"{package}.{module[1]}" not in NOT_INSTALLED]
