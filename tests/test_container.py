"""The container of the studio: what its Dockerfile runs, without Docker."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTAINER = ROOT / "container"


def test_the_dockerfile_runs_the_scripts_and_is_given_what_they_install():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    scripts = re.findall(r"container/\w+\.sh", text)
    assert sorted(set(scripts)) == ["container/install.sh", "container/start.sh"]
    assert all((ROOT / name).is_file() for name in scripts)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not {"src", "docs", "README.md", "LICENSE", "pyproject.toml", "setup.py", "container"} & set(ignored)


def test_the_start_script_runs_the_studio_for_other_machines(tmp_path: Path):
    command = tmp_path / "dcgan"
    command.write_text('#!/bin/sh\necho "$@"\n')
    command.chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "RUNS": "/my runs"}
    words = ["sh", str(CONTAINER / "start.sh"), "--json"]
    output = subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout
    assert output == "studio /my runs --host 0.0.0.0 --port 7860 --data-root /data --no-browser --json\n"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_steps_of_the_container_in_a_clean_environment(tmp_path: Path):
    """Torch and all else is installed anew: minutes, and gigabytes below the folder of pytest."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    for name in ("runs", "data"):
        (tmp_path / name).mkdir()
    environment = {"PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "PORT": "0"}
    environment |= {"RUNS": str(tmp_path / "runs"), "DATA": str(tmp_path / "data"), "HOME": str(tmp_path)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    subprocess.run(["sh", str(CONTAINER / "install.sh")], cwd=tmp_path, env=environment, check=True)
    words = ["sh", str(CONTAINER / "start.sh")]
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as studio:
        try:
            assert studio.stderr is not None
            address = re.search(r"http://0\.0\.0\.0:(\d+)/(\?token=\S+)", studio.stderr.readline())
            assert address is not None
            page = f"http://127.0.0.1:{address[1]}/"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(page)
            with urllib.request.urlopen(page + address[2]) as answer:
                assert b"dcgan studio" in answer.read()
            with urllib.request.urlopen(
                f"{page}learn/en/index.md{address[2]}"
            ) as answer:  # the package has the lessons
                assert answer.status == 200
        finally:
            studio.terminate()
