"""Writes the Python stubs of the contract, or with --check fails when those in the folder are not what it says.

One compiler makes everything: buf resolves and orders the files, grpcio-tools' protoc writes messages, their types and
the service stubs, so that the descriptors inside are always the same bytes.
"""

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent


def generate(target: Path) -> None:
    """Compile every .proto of the contract into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "airspace").rglob("*.proto"))
    outputs = ("--python_out", "--pyi_out", "--grpc_python_out")
    subprocess.run(  # noqa: S603 -- our own arguments
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *(f"{out}={target}" for out in outputs), *sources],
        check=True,
    )
    for folder in [target / "airspace", *(path for path in (target / "airspace").rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    (target / "airspace" / "py.typed").touch()


def differences(left: Path, right: Path) -> list[str]:
    """Name the files that are missing on one side or not the same."""
    names = {
        str(path.relative_to(root))
        for root in (left, right)
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    _, mismatch, errors = filecmp.cmpfiles(left, right, sorted(names), shallow=False)
    return sorted(mismatch + errors)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check:
        generate(arguments.target)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder), arguments.target)
    if stale:
        sys.exit("stale stubs, run `make gen`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
