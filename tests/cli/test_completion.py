"""What a real bash completes, set up as the README says."""

import os
import shutil
import subprocess

import pytest

from tests.commands import FOLDER, environment

ASK = """
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
[[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
last=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
read -ra asked <<< "$(complete -p "${COMP_WORDS[0]}")"
while [[ ${asked[0]} != -F ]]; do asked=("${asked[@]:1}"); done
"${asked[1]}" "${COMP_WORDS[0]}" "$last" "$before"
echo "${COMPREPLY[*]}"
"""
HYDRA = 'eval "$(shallowexp -sc install=bash)"'


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("shallowexp-report symmetry", "symmetry symmetry_clock"),
        ("shallowexp-report --sweep la", "latest"),
        ("shallowexp-plot --width ", "page paper wide slides"),
        ("shallowexp-plot pa", "panel="),
        ("shallowexp-runs d", "delete"),
        ("shallowexp-rerun --v", "--version"),
        ("shallowexp-ui --no", "--no-browser"),
        ("shallowexp activation=t", "activation=tanh"),
    ],
)
def test_bash_completes(tmp_path, line, offered):
    name = line.split()[0]
    setup = HYDRA if name == "shallowexp" else f'eval "$(register-python-argcomplete {name})"'
    path = f"{FOLDER}{os.pathsep}{os.environ['PATH']}"
    asked = ["bash", "--norc", "-c", f"{setup}\n{ASK}", "bash", line]
    done = subprocess.run(asked, cwd=tmp_path, env=environment(PATH=path), capture_output=True, text=True)
    assert done.stdout.split() == offered.split(), done.stderr
    assert not [*tmp_path.iterdir()]
