"""`aditus serve` where it cannot start: one clear line, exit code 2, and nothing is changed."""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from demo.postgres import free_port
from demo.stage import aditus
from tests.process.programs import LOOPBACK, Ended, Program, Server, contents

pytestmark = pytest.mark.timeout(180)  # a fixture starts many servers, on a machine that may be busy


@dataclass(frozen=True, slots=True)
class Place:
    """What a case may use: a data folder that was started before, and what is in its way."""

    data: Path
    folder: Path  # for other files
    taken: int  # a port that somebody listens on
    running: Server

    def serve(self, *words: str, data: Path | None = None) -> list[str]:
        defaults = {
            "--data": str(data or self.data),
            "--api-listen": f"{LOOPBACK}:{free_port()}",
            "--relay-listen": f"{LOOPBACK}:{free_port()}",
            "--metrics-listen": "off",
        }
        given = set(words[::2])
        return aditus(
            "serve", *(word for pair in defaults.items() if pair[0] not in given for word in pair), *words
        )

    def file(self, name: str, content: bytes = b"") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def database(self, change: Callable[[bytearray], None]) -> None:
        path = self.data / "aditus.db"
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)


Case = Callable[[Place], list[str]]
"""Spoils the place, or takes its port; the command line that then cannot start."""


def port_taken(place: Place) -> list[str]:
    return place.serve("--api-listen", f"{LOOPBACK}:{place.taken}")


def relay_port_taken(place: Place) -> list[str]:
    return place.serve("--relay-listen", f"{LOOPBACK}:{place.taken}")


def metrics_port_taken(place: Place) -> list[str]:
    return place.serve("--metrics-listen", f"{LOOPBACK}:{place.taken}")


def address_of_another_machine(place: Place) -> list[str]:
    return place.serve("--relay-listen", "192.0.2.1:8443")


def folder_is_a_file(place: Place) -> list[str]:
    return place.serve(data=place.file("data-file"))


def folder_below_a_file(place: Place) -> list[str]:
    """As unwritable as a folder can be to root, too."""
    return place.serve(data=place.file("data-file") / "data")


def folder_locked(place: Place) -> list[str]:
    return place.serve(data=place.running.data)


def database_is_text(place: Place) -> list[str]:
    (place.data / "aditus.db").write_text("Dear diary, today nothing was stored.\n" * 200)
    return place.serve()


def database_is_cut_off(place: Place) -> list[str]:
    place.database(lambda content: content.__delitem__(slice(len(content) // 2, None)))
    return place.serve()


def database_has_a_zeroed_page(place: Place) -> list[str]:
    def zero(content: bytearray) -> None:
        content[8192:12288] = bytes(4096)

    place.database(zero)
    return place.serve()


def database_has_a_scrambled_header(place: Place) -> list[str]:
    def scramble(content: bytearray) -> None:
        content[16:100] = b"\xff" * 84

    place.database(scramble)
    return place.serve()


def database_is_a_folder(place: Place) -> list[str]:
    (place.data / "aditus.db").unlink()
    (place.data / "aditus.db").mkdir()
    return place.serve()


def database_of_a_later_version(place: Place) -> list[str]:
    with contextlib.closing(sqlite3.connect(place.data / "aditus.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    return place.serve()


def other_region(place: Place) -> list[str]:
    return place.serve("--region", "eu-9")


def ca_without_its_key(place: Place) -> list[str]:
    (place.data / "ca-key.pem").unlink()
    (place.data / "server.pem").unlink()
    return place.serve()


def ca_is_a_folder(place: Place) -> list[str]:
    (place.data / "ca.pem").unlink()
    (place.data / "ca.pem").mkdir()
    return place.serve()


def half_of_tls(place: Place) -> list[str]:
    return place.serve("--tls-cert", str(place.data / "server.pem"))


def the_other_half_of_tls(place: Place) -> list[str]:
    return place.serve("--tls-key", str(place.data / "server-key.pem"))


def certificate_is_missing(place: Place) -> list[str]:
    return place.serve("--tls-cert", "missing.pem", "--tls-key", str(place.data / "server-key.pem"))


def key_is_missing(place: Place) -> list[str]:
    return place.serve("--tls-cert", str(place.data / "server.pem"), "--tls-key", "missing.key")


def certificate_is_no_certificate(place: Place) -> list[str]:
    text = str(place.file("text.pem", b"-----BEGIN NONSENSE-----\n"))
    return place.serve("--tls-cert", text, "--tls-key", str(place.data / "server-key.pem"))


def key_of_another_certificate(place: Place) -> list[str]:
    return place.serve(
        *("--tls-cert", str(place.data / "server.pem")), *("--tls-key", str(place.data / "ca-key.pem"))
    )


def certificate_on_an_empty_folder(place: Place) -> list[str]:
    """Whatever is wrong, nothing is made."""
    for path in place.data.iterdir():
        path.unlink()
    return place.serve("--tls-cert", "missing.pem", "--tls-key", "missing.key")


CASES: dict[Case, str] = {
    port_taken: "--api-listen 127.0.0.1:{taken} cannot be listened on: address already in use.",
    folder_is_a_file: "The data folder {folder}/data-file cannot be used: file exists.",
    folder_locked: "The data folder {running} is used by another process.",
    database_has_a_zeroed_page: "The database {data}/aditus.db is damaged.",
    half_of_tls: "--tls-cert and --tls-key go together, and one of them is missing.",
    certificate_is_missing: "missing.pem with the key {data}/server-key.pem cannot be used: no such file",
}
"""What is wrong, and what people read about it."""

SLOW_CASES: dict[Case, str] = {
    metrics_port_taken: "--metrics-listen 127.0.0.1:{taken} cannot be listened on: address already in use.",
    database_is_text: "The database {data}/aditus.db is damaged.",
    relay_port_taken: "--relay-listen 127.0.0.1:{taken} cannot be listened on: address already in use.",
    address_of_another_machine: "--relay-listen 192.0.2.1:8443 cannot be listened on: cannot assign",
    folder_below_a_file: "The data folder {folder}/data-file/data cannot be used: not a directory.",
    database_is_cut_off: "The database {data}/aditus.db is damaged.",
    database_has_a_scrambled_header: "The database {data}/aditus.db is damaged.",
    database_is_a_folder: "The database {data}/aditus.db cannot be opened for writing: Is a directory.",
    database_of_a_later_version: "The database was written by a newer version of Aditus.",
    other_region: "The data belongs to the region local, and not to the one named.",
    ca_without_its_key: "ca-key.pem, are not both there.",
    ca_is_a_folder: "The development certificates in {data} cannot be read or written: is a directory.",
    the_other_half_of_tls: "--tls-cert and --tls-key go together, and one of them is missing.",
    key_is_missing: "server.pem with the key missing.key cannot be used: no such file or directory.",
    certificate_is_no_certificate: "cannot be used: it is not valid PEM",
    key_of_another_certificate: "cannot be used: it is not valid PEM, or the parts do not belong together.",
    certificate_on_an_empty_folder: "missing.pem with the key missing.key cannot be used: no such file",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    place: Place
    ended: Ended
    before: dict[str, bytes]


@pytest.fixture(scope="module")
def refusals(
    request: pytest.FixtureRequest,
    server: Server,
    data_folder: Callable[[], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[Case, Refusal]]:
    """All the cases that this run asks for, two at a time, as each takes most of a second."""
    cases = [
        cast(Case, item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == WHAT_IT_CANNOT_START_WITH
    ]
    with socket.create_server((LOOPBACK, 0)) as taken, ThreadPoolExecutor(2) as pool:

        def refuse(case: Case) -> Refusal:
            place = Place(data_folder(), tmp_path_factory.mktemp("case"), taken.getsockname()[1], server)
            command = case(place)
            before = contents(place.data)
            with Program(command) as program:
                return Refusal(place, program.ended(), before)

        yield dict(zip(cases, pool.map(refuse, cases), strict=True))


@pytest.mark.parametrize(
    "case",
    [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW_CASES)],
    ids=lambda case: case.__name__,
)
def test_what_it_cannot_start_with_is_one_clear_line(refusals: Mapping[Case, Refusal], case: Case) -> None:
    place, ended = refusals[case].place, refusals[case].ended
    why = (CASES | SLOW_CASES)[case].format(
        taken=place.taken, folder=place.folder, data=place.data, running=place.running.data
    )
    assert ended.code == 2, ended
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("aditus: ")
    assert why in ended.err
    assert contents(place.data) == refusals[case].before


WHAT_IT_CANNOT_START_WITH = test_what_it_cannot_start_with_is_one_clear_line.__name__


# Root may write to every folder, unless it gives up that right.
LIKE_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.needs(*LIKE_OTHERS[:1])
def test_a_folder_of_others_is_one_clear_line(tmp_path: Path) -> None:
    folder = tmp_path / "of-others"
    folder.mkdir(mode=0o500)
    with Program([*LIKE_OTHERS, *aditus("serve", "--data", str(folder))]) as program:
        ended = program.ended()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"aditus: The data folder {folder} cannot be used: permission denied.")
    assert list(folder.iterdir()) == []
