"""A machine in a container: a system in a directory, booted with systemd-nspawn; for check-unit.py and check-deb.py."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time


class Machine:
    """A system that systemd has booted in a container."""

    def __init__(self, root, checks):
        self.root = root
        self.checks = checks
        self.console = tempfile.TemporaryFile("w+")
        options = ["--boot", f"--directory={root}", "--machine=mesh-check", "--register=no", "--private-network",
                   "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
                   # Version 2 lets systemd decide on devices, by a program of the kernel's.
                   "--capability=all", "--system-call-filter=bpf"]
        self.groups = []
        if not os.path.isdir("/run/systemd/system"):
            # There is no systemd on this side that could make a scope.
            options.append("--keep-unit")
            self.groups = control_groups()
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", *options], stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, preexec_fn=self.join,
        )
        self.first = None
        try:
            self.first = self.wait("systemd to be process 1", self.process_one, 60)
            state = self.wait("systemd to have booted", self.booted, 120)
        except BaseException:
            self.end()
            raise
        checks.check(state in ("running", "degraded"), "it boots: systemd is process 1 of the machine", self.said())

    def join(self):
        for group in self.groups:
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")

    def process_one(self):
        if self.nspawn.poll() is not None:
            raise SystemExit(f"{self.checks.name}: systemd-nspawn cannot boot a machine here:\n{self.said()}")
        with contextlib.suppress(OSError):
            for child in open(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read().split():
                status = open(f"/proc/{child}/status").read()
                if re.search(r"^Name:\tsystemd$", status, re.M) and re.search(r"^NSpid:.*\t1$", status, re.M):
                    return child
        return None

    def booted(self):
        state = self.outcome("systemctl", "is-system-running").stdout.strip()
        return state if state in ("running", "degraded", "maintenance") else None

    def said(self):
        self.console.seek(0)
        return self.console.read()[-4000:]

    def outcome(self, *command, timeout=60):
        return subprocess.run(["nsenter", "-t", self.first, "-a", *command], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout)

    def run(self, *command, timeout=60):
        outcome = self.outcome(*command, timeout=timeout)
        if outcome.returncode != 0:
            raise SystemExit(f"{self.checks.name}: {' '.join(command)}: {outcome.returncode}: {outcome.stdout}{outcome.stderr}\n"
                             f"{self.journal()}")
        return outcome.stdout

    def journal(self, unit="mesh-events"):
        return self.outcome("journalctl", "-u", unit, "-n", "60", "--no-pager", "-o", "cat").stdout

    def wait(self, what, condition, seconds=30):
        """What the condition returns when that is true."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                said = self.journal() if self.first else self.said()
                raise SystemExit(f"{self.checks.name}: waited {seconds} s for {what}\n{said}")
            time.sleep(0.2)

    def end(self):
        if self.first and self.nspawn.poll() is None:
            # systemd's signal for halt.
            os.kill(int(self.first), signal.SIGRTMIN + 3)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.nspawn.wait(timeout=120 if self.first else 1)
        if self.nspawn.poll() is None:
            self.nspawn.kill()
            self.nspawn.wait()
        for group in self.groups:
            for directory, _, _ in os.walk(group, topdown=False):
                os.rmdir(directory)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.root + path, mode)

    def unit(self, name):
        """A property of the node's unit."""
        return self.run("systemctl", "show", "mesh-events", "--value", "-p", name).strip()


def need_control_groups(checks):
    """Ends the program where no machine can be booted."""
    places = ("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.procs")
    if not any(os.path.exists(place) for place in places):
        raise SystemExit(f"{checks.name}: needs control groups of version 2 (or the hybrid of both), to boot a machine")


def control_groups():
    """New groups below this process's, in the hierarchies that systemd-nspawn takes for its own."""
    made = []
    for line in open("/proc/self/cgroup", encoding="ascii"):
        _, controllers, path = line.strip().split(":", 2)
        places = {"": ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"], "name=systemd": ["/sys/fs/cgroup/systemd"]}
        for place in places.get(controllers, []):
            if os.path.exists(f"{place}/cgroup.procs"):
                made.append(f"{place}{path.rstrip('/')}/mesh-check.{os.getpid()}")
                os.mkdir(made[-1])
                break
    return made
