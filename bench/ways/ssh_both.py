"""OpenSSH from both sides: one sshd, `ssh -R` at the private end, `ssh -L` beside the app."""

from collections.abc import Mapping

from bench.programs import Place, free_ports
from bench.ways.ssh import CIPHER, Ssh
from bench.ways.way import Opened


class SshBoth(Ssh):
    """`ssh -L` into a port that `ssh -R` has on the loopback of their sshd; one connection on each side."""

    name = "ssh-both"
    settings = f"ssh -L into ssh -R, both {CIPHER}, no compression, with one sshd of their own"

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        port, *rest = free_ports(1 + 2 * len(targets))
        app_ports, between = rest[: len(targets)], rest[len(targets) :]
        sshd = self.serve(place, port, "yes")
        inward = [("-R", listening, to) for listening, to in zip(between, targets.values(), strict=True)]
        outward = [("-L", listening, to) for listening, to in zip(app_ports, between, strict=True)]
        private = self.dial(place, "ssh -R", port, inward)
        beside = self.dial(place, "ssh -L", port, outward)
        return Opened(dict(zip(targets, app_ports, strict=True)), [sshd], [private], [beside])
