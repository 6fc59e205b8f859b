"""A process that is killed has no time to say that what it carried is cut. It is a reset all the same."""

from pathlib import Path

from tests.process.programs import Server, Service, exactly, is_reset


def test_kill_9_of_agent_or_relay_is_a_reset_on_both_sides_and_never_a_clean_end(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        key = server.generate("killed")
        for victim in ("agent", "relay"):
            with Service() as service, server.agent(key, service.spec) as agent:
                agent.err.wait("attached")
                app, end = service.conversation()
                app.sendall(b"half of a tr")
                assert exactly(end, 12) == b"half of a tr"
                (agent if victim == "agent" else server.program).kill()
                assert is_reset(end)
                assert is_reset(app)
