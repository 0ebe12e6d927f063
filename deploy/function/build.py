"""Make the functions' package: a folder for SAM, and the same as a zip for Terraform.

    build.py remote     foedus and its dependencies, for the platform that functions run on
    build.py local      for this machine, with a database of its own, migrated, for trying the functions out

Neither SAM's tool nor a container is needed. ``--extra-wheel`` adds packages of your own, such as connectors.
"""

import argparse
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = ("service_initialization.py", "app.py", "fma_settings.py")
PLATFORM = ("--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.12", "--only-binary", ":all:")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: equal contents are equal files


def main() -> None:
    options = arguments()
    target: Path = options.target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    install(target, options)
    for name in OURS:
        shutil.copyfile(HERE / name, target / name)
    if options.kind == "local":
        make_database(target)
    else:
        write_zip(target, target.with_suffix(".zip"))
    print(f"{options.kind} package in {target}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["remote", "local"])
    parser.add_argument("--wheel", type=Path, required=True, help="foedus' own wheel")
    parser.add_argument("--extra-wheel", type=Path, action="append", default=[], help="another package, with its own")
    parser.add_argument("--target", type=Path, default=ROOT / "deploy" / "build" / "function")
    parser.add_argument("--no-deps", action="store_true", help="dependencies come from elsewhere, such as a layer")
    return parser.parse_args()


def install(target: Path, options: argparse.Namespace) -> None:
    extras = "[aws,postgres]" if options.kind == "remote" else "[aws]"
    wheels = [f"{options.wheel.resolve()}{'' if options.no_deps else extras}", *map(str, options.extra_wheel)]
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--target", str(target), *wheels]
    command += ["--no-deps"] if options.no_deps else []
    command += PLATFORM if options.kind == "remote" and not options.no_deps else []
    subprocess.run(command, check=True)


def make_database(target: Path) -> None:
    """Migrate a database with the package's own code, and an administrator if the environment has a password."""
    with tempfile.TemporaryDirectory() as data:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "FMA_"))}
        environment |= {"FOEDUS_DATA": data, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}
        manage = [sys.executable, "-m", "foedus", "manage"]
        subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True, cwd=data)
        if environment.get("DJANGO_SUPERUSER_PASSWORD"):
            admin = ["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.org"]
            subprocess.run([*manage, *admin], env=environment, check=True, cwd=data)
        shutil.copyfile(Path(data, "foedus.sqlite3"), target / "foedus.sqlite3")


def write_zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644) << 16
                packed.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    main()
