"""The steps of deploy/docker/Dockerfile, done without Docker, and an agent that runs from what they make."""

import json
import os
import shutil
import signal
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.postgres import free_port
from tests.deploy.image import ROOT, last, lineage
from tests.process.programs import LOOPBACK, Ended, Program, Server, Service, exactly, surroundings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # it installs what the image has
    pytest.mark.needs("setpriv"),
]

NOT_ALMIGHTY = (
    ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
)
"""Also root may then write only where the mode allows it."""


@dataclass(frozen=True, slots=True)
class Image:
    """Where the folders of the image are here."""

    folder: Path

    def here(self, text: str) -> str:
        """The text with paths of this machine."""
        for path in ("/wheels", "/opt/aditus"):
            text = text.replace(path, f"{self.folder}{path}")
        return text

    @property
    def aditus(self) -> str:
        return self.here("/opt/aditus/bin/aditus")

    def contents(self) -> dict[str, int]:
        """Each file, and when it was changed."""
        files = (path for path in self.folder.rglob("*") if not path.is_symlink())
        return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What the target `agent` has in it: its RUN and COPY instructions, one after the other."""
    folder = tmp_path_factory.mktemp("image")
    image = Image(folder)
    venv.create(folder / "base", with_pip=True)
    checkout = folder / "checkout"
    checkout.mkdir()
    env = surroundings() | {
        "PATH": f"{folder / 'base/bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),  # pip asks programs for their version that make themselves at home
    }
    packages = lineage("agent-packages")
    for instruction, argument in (line for stage in packages for line in stage.lines):
        if instruction == "COPY":
            *sources, target = argument.split()
            for source in sources:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, checkout / target / (source if (ROOT / source).is_file() else ""))
        elif instruction == "RUN":
            subprocess.run(["sh", "-c", image.here(argument)], cwd=checkout, env=env, check=True)
    shutil.rmtree(checkout)
    yield image
    shutil.rmtree(folder)


def test_it_has_the_agent_and_nothing_of_the_server(image: Image) -> None:
    version = subprocess.run([image.aditus, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("aditus ")
    names = {path.name for path in Path(image.here("/opt/aditus")).glob("lib/*/site-packages/*")}
    assert {"picows", "uvloop", "click"} <= names
    assert not {"fastapi", "sqlalchemy", "pydantic", "pip", "hatchling", "pytest"} & names
    serve = subprocess.run(
        [image.aditus, "serve", "--data", str(image.folder / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert serve.returncode == 2
    assert "aditus[server]" in serve.stderr
    assert not (image.folder / "data").exists()


def test_an_agent_runs_from_it_and_writes_nothing_anywhere(image: Image, server: Server) -> None:
    key = server.generate("in-a-container")
    home = image.folder / "home"
    home.mkdir(mode=0o555)
    health = f"{LOOPBACK}:{free_port()}"
    env = key.env | {"HOME": str(home), "ADITUS_HEALTH_LISTEN": health}
    before = image.contents()
    with (
        Service() as service,
        Program(
            [
                *NOT_ALMIGHTY,
                image.aditus,
                "connect",
                "--ca-file",
                str(server.ca_file),
                "-s",
                service.spec,
                key.url,
            ],
            env,
        ) as agent,
    ):
        agent.err.wait("attached")
        app, end = service.conversation()
        app.sendall(b"out of the box")
        assert exactly(end, 14) == b"out of the box"
        _, _, check = last("agent", "HEALTHCHECK").partition("CMD ")
        _, *words = json.loads(check.replace("127.0.0.1:3127", health))
        with Program([image.aditus, *words]) as probe:
            assert probe.ended() == Ended(0, "", "")
        assert agent.end(signal.SIGTERM) == 0
    assert image.contents() == before
