"""The participant kit that sessions are compatible with, unchanged and in an environment of its own."""

import subprocess
import venv


def install(folder):
    """The Python that has it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "xain-sdk==0.8.0"], check=True)
    return python
