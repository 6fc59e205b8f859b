"""OpenSSH: an sshd of our own at the public end, `ssh -R` at the private one."""

import getpass
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import install
from bench.programs import LOOPBACK, Place, Program, free_ports
from bench.ways.way import Opened, Role, Way

CIPHER = "aes128-gcm@openssh.com"
PRIVILEGE_SEPARATION = Path("/run/sshd")  # sshd insists on it when it runs as root

SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
AllowTcpForwarding {forwarding}
Ciphers {cipher}
LogLevel VERBOSE
"""


class Ssh(Way):
    """`ssh -R`, one connection for all."""

    name = "ssh"
    role = Role.PEER
    settings = f"ssh -R, {CIPHER}, no compression, with its own sshd"

    def __init__(self) -> None:
        self._sshd = install.debian("sshd", "openssh-server")
        self._ssh = install.debian("ssh", "openssh-client")
        self._keygen = install.debian("ssh-keygen", "openssh-client")
        self.version = install.version([self._ssh, "-V"]).partition(",")[0]

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        port, *app_ports = free_ports(1 + len(targets))
        sshd = self.serve(place, port, "remote")
        pairs = zip(app_ports, targets.values(), strict=True)
        client = self.dial(place, "ssh", port, [("-R", app_port, target) for app_port, target in pairs])
        return Opened(dict(zip(targets, app_ports, strict=True)), [sshd], [client])

    def serve(self, place: Place, port: int, forwarding: str) -> Program:
        """An sshd that lets a user of its own in; `forwarding` as in `AllowTcpForwarding`."""
        if getpass.getuser() == "root":
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        for name in ("host", "user"):
            make = [str(self._keygen), "-q", "-t", "ed25519", "-N", "", "-f", str(place.folder / name)]
            subprocess.run(make, stdin=subprocess.DEVNULL, check=True)
        text = SSHD.format(port=port, folder=place.folder, forwarding=forwarding, cipher=CIPHER)
        sshd = place.start("sshd", [self._sshd, "-D", "-e", "-f", place.write("sshd.conf", text)])
        sshd.wait_listening(port)
        return sshd

    def dial(self, place: Place, name: str, port: int, forwards: Sequence[tuple[str, int, int]]) -> Program:
        """An ssh to that sshd, with these forwards: -R or -L, the port that listens, the one it leads to."""
        words = [
            word
            for option, listening, to in forwards
            for word in (option, f"{LOOPBACK}:{listening}:{LOOPBACK}:{to}")
        ]
        options = {
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "ExitOnForwardFailure": "yes",
            "Compression": "no",
            "Ciphers": CIPHER,
        }
        chosen = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
        who = ["-N", "-T", "-i", str(place.folder / "user")]
        where = ["-p", str(place.reach(port)), f"{getpass.getuser()}@{LOOPBACK}"]
        return place.start(name, [self._ssh, "-F", "none", *who, *chosen, *words, *where])
