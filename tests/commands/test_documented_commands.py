"""Every command line in the READMEs of all folders parses."""

import pathlib
import re
import shlex
import subprocess

import pytest
from absl import flags

from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import import_official
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands import report
from simclr_keras.commands import study
from simclr_keras.commands.common import command_line

pytestmark = pytest.mark.newest
ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = {
    "simclr-pretrain": pretrain,
    "simclr-linear-eval": linear_eval,
    "simclr-finetune": finetune,
    "simclr-embed": embed,
    "simclr-export": export,
    "simclr-report": report,
    "simclr-study": study,
    "simclr-import-official": import_official,
}
READMES = [
    ROOT / "README.md",
    *sorted(
        path
        for folder in ("flags", "simclr_keras", "tests", "tools")
        for path in (ROOT / folder).rglob("README.md")
    ),
]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def _scripts(readme):
    """Blocks of shell in a README, lines that go on joined."""
    text = readme.read_text().replace("\\\n", " ")
    return re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _documented_commands():
    """Pairs (README, line of a shell block without its comment)."""
    for readme in READMES:
        for script in _scripts(readme):
            for line in script.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield readme, words


def _check_command(program, arguments):
    """Parses a command of ours; finds a tool, and an extra of pip."""
    if program in COMMANDS:
        command = COMMANDS[program]
        positional = "model_dir" if command is report else None
        command_line.parse(command.define_flags, arguments, positional)
        return
    if program.startswith("tools/"):
        assert (ROOT / program).stat().st_mode & 0o100, program
    if program == "tools/launch_local":
        start = arguments.index("--") + 1
        _check_command(arguments[start], arguments[start + 1 :])
    elif program == "tools/quickstart":
        command_line.parse(pretrain.define_flags, arguments)
    elif program == "tools/import_official_checkpoint":
        command_line.parse(import_official.define_flags, arguments)
    elif program == "pip":
        for extra in re.findall(r"\.\[([\w-]+)\]", " ".join(arguments)):
            assert f'"{extra}": [' in (ROOT / "setup.py").read_text(), extra


def test_documented_commands_parse():
    """Each line of each block of shell, in the READMEs of all folders."""
    seen = set()
    for readme, (program, *arguments) in _documented_commands():
        try:
            _check_command(program, arguments)
        except flags.Error as error:
            pytest.fail(f"{readme.relative_to(ROOT)}: {program}: {error}")
        seen.add(program)
    assert set(COMMANDS) <= seen
    assert {"tools/quickstart", "tools/test", "pip"} <= seen


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_documented_shell_is_shell(readme):
    for script in _scripts(readme):
        done = subprocess.run(
            ["bash", "-n"], input=script, text=True, capture_output=True
        )
        assert done.returncode == 0, (script, done.stderr)


def _anchors(readme):
    """Anchors of a README's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", readme.read_text(), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_links_lead_somewhere(readme):
    """Those within the repository, pictures and headings too."""
    text = re.sub(r"```.*?```|`[^`]*`", "", readme.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]*)\)", text)
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = readme.parent / path if path else readme
        assert target.exists(), link
        if anchor:
            page = target / "README.md" if target.is_dir() else target
            assert anchor in _anchors(page), link
