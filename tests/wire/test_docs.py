"""docs/wire-protocol.md and the code say the same: types, TLVs, verdicts, reasons, closes, limits, states."""

import re

from aditus.wire import fields, frames
from aditus.wire.credit import EIGHTH, FIRST_WINDOW, MAX_WINDOW
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.frames import FrameType, Role, Verdict
from aditus.wire.liveness import DEAD_AFTER, PING_AFTER
from aditus.wire.schedule import QUANTUM
from aditus.wire.session import MAX_BACKLOG
from tests.wire.draw import PAGE, drawn

TEXT = PAGE.read_text()


def table(*heads: str) -> list[list[str]]:
    """The rows of the table whose columns begin with these heads."""
    lines = TEXT.splitlines()
    [at] = [i for i, line in enumerate(lines) if cells(line)[: len(heads)] == list(heads)]
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def test_the_table_of_frames_is_the_types_of_frames() -> None:
    rows = table("type", "frame")
    assert {(int(kind, 16), name) for kind, name, *_ in rows} == {(kind, kind.name) for kind in FrameType}
    of_streams = {name for _, name, _, stream, *_ in rows if stream != "0"}
    assert of_streams == {FrameType(kind).name for kind in frames.STREAM_FRAMES}
    without_arg = {name for _, name, _, _, arg, _ in rows if arg == "0"}
    assert without_arg == {FrameType(kind).name for kind in frames._WITHOUT_ARG}


def test_the_sizes_in_the_table_of_frames_are_those_of_the_layouts() -> None:
    sizes = {}
    for _, name, sender, _, _, payload in table("type", "frame"):
        fixed = re.split(r"entries:|ports \(|and connect id|· TLVs", payload)[0]
        sizes[name, sender] = sum(int(size) for size in re.findall(r"\((\d+)[,)]", fixed))
    assert sizes["HELLO", "acceptor"] == frames._ACCEPTOR_HELLO.size
    assert sizes["HELLO", "dialer"] == frames._DIALER_HELLO.size
    assert sizes["OFFER", "agent"] == frames._OFFER.size
    assert sizes["STATUS", "acceptor"] == frames._STATUS.size
    assert sizes["WINDOW", "both"] == frames._INCREMENT.size
    assert sizes["BUNDLE", "both"] == frames._LENGTH.size


def test_roles() -> None:
    [(_, _, _, _, _, payload)] = [row for row in table("type", "frame") if row[1:3] == ["HELLO", "dialer"]]
    assert ", ".join(f"{role} {role.name.lower()}" for role in Role) in payload


def test_the_table_of_tlvs() -> None:
    assert {(frame, int(kind)) for frame, kind, _ in table("TLV of", "type")} == {
        ("HELLO (dialer)", frames.TLV_HELLO_PROGRAM),
        ("HELLO (dialer)", frames.TLV_HELLO_HOST),
        ("STATUS", frames.TLV_STATUS_WARNING),
        ("STATUS", frames.TLV_STATUS_PORT),
        ("STATUS", frames.TLV_STATUS_APP_ID),
        ("STATUS", frames.TLV_STATUS_APP),
        ("STATUS", frames.TLV_STATUS_ALIAS),
        ("OFFER", frames.TLV_OFFER_ALIAS),
        ("OPEN", frames.TLV_OPEN_SOURCE),
    }


def test_the_table_of_verdicts() -> None:
    rows = [(int(number), name) for number, name, _ in table("verdict", "name")]
    assert rows == [(verdict, f"`{verdict.token}`") for verdict in Verdict]


def test_the_table_of_reset_reasons() -> None:
    rows = [(int(number), name) for number, name, _ in table("reason", "name")]
    assert rows == [(reason, f"`{reason.token}`") for reason in ResetReason]


def test_the_table_of_close_codes() -> None:
    assert [int(code) for code, *_ in table("close code", "reason")] == sorted(CloseCode)


def test_the_limits() -> None:
    least, most = frames.MIN_FIRST_WINDOW, frames.MAX_FIRST_WINDOW
    limits = {name: value for name, value, _ in table("limit", "value")}
    assert limits == {
        "DATA, BUNDLE payload": f"{frames.MAX_DATA:,} bytes",
        "other payload": f"{frames.MAX_CONTROL:,} bytes",
        "text": f"{fields.MAX_TEXT} bytes",
        "program, source": f"{fields.MAX_NAME} bytes",
        "streams per session": f"{frames.MAX_STREAMS:,}",
        "ports per OFFER": f"{frames.MAX_PORTS:,}",
        "slots": f"0 – {frames.MAX_SLOT}",
        "first window": f"{least:,} – {most:,} bytes; {FIRST_WINDOW:,} by default",
        "window": f"{MAX_WINDOW:,} bytes",
        "credit": f"{frames.MAX_CREDIT:,} bytes",
        "frames waiting to be read by the peer, DATA and WINDOW apart": f"{MAX_BACKLOG:,} bytes",
        "silence before PING": f"{PING_AFTER:.0f} s",
        "silence before the session is dead": f"{DEAD_AFTER:.0f} s",
        # enforced in other rooms, where their own tests find them:
        "HELLO and first OFFER after the upgrade": "5 s",
        "proof": "2,048 characters",
        "HTTP request headers": "16,384 bytes",
    }


def test_figures_in_the_text() -> None:
    for said in (
        f"at most {frames.MAX_FRAME:,} bytes",
        f"A payload other than DATA and BUNDLE is at most {frames.MAX_CONTROL:,} bytes",
        f"up to {frames.MAX_STREAMS:,} concurrent **streams**",
        f"{QUANTUM:,} bytes of each stream in turn",
        f"After {PING_AFTER:.0f} s of silence",
        f"after {DEAD_AFTER:.0f} s of silence",
        {8: "The last eighth"}[EIGHTH],
        {1 << 20: "when that is 1 MiB"}[MAX_BACKLOG],
        f"Sec-WebSocket-Protocol: {frames.SUBPROTOCOL}",
        f"type ({fields.TLV_HEADER_SIZE // 2}), length ({fields.TLV_HEADER_SIZE // 2}), value",
    ):
        assert said in " ".join(TEXT.split()), said


def test_the_picture_of_the_states_is_drawn_from_the_table() -> None:
    assert drawn(TEXT) == TEXT, "run: python -m tests.wire.draw"
