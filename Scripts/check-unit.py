#!/usr/bin/env -S python3 -B
"""Runs the systemd unit: installs into a bare Debian 12, boots that with systemd-nspawn, and looks at what the node does.

`make check-unit`, as root on Debian with control groups of version 2; BUILD=debug is quicker. Scripts/unit has what is put into
the machine: the manifest, and programs that say what they see. Stand-ins for GPUs are device files without a driver, and a
list of drivers over /proc/devices: that a device may be opened is the error ENXIO, that it may not is EPERM.
"""
import json
import os
import re
import shutil
import time

from bare_debian import Checks, remove
from machine import Machine, need_control_groups

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
checks = Checks("check-unit")
check, run = checks.check, checks.run
SETTINGS, STATE = "/etc/mesh-events", "/var/lib/mesh-events"
DROP_INS = "/etc/systemd/system/mesh-events.service.d"


class Node(Machine):
    """A machine with a node, and what is asked of it."""

    def events(self, kind, *options):
        outcome = self.outcome("mesh-events", "list", kind, "--json", *options)
        return [json.loads(line) for line in outcome.stdout.splitlines()]

    def of_tool(self, kind, tool):
        return [event for event in self.events(kind) if event["data"].get("tool") == tool]

    def pids(self, command):
        """The numbers of the processes with exactly this command line, whatever directory it names."""
        return self.outcome("pgrep", "-fx", rf"(\S*/)?{command}").stdout.split()

    def status(self, pid):
        text = self.run("cat", f"/proc/{pid}/status")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def members(self):
        """The processes that systemd counts to the unit, and those of its user."""
        found = self.outcome("sh", "-c", "cat /sys/fs/cgroup/system.slice/mesh-events.service/cgroup.procs").stdout.split()
        return found + self.outcome("pgrep", "-f", "sleep 70[0-9][0-9]|mesh-events-guard|mesh-events serve").stdout.split()


def pairs(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def put(machine, name, path, mode=0o644):
    with open(f"Scripts/unit/{name}", encoding="utf-8") as file:
        machine.write(path, file.read(), mode)


def start(machine):
    """Starts the unit, and waits for its tools."""
    before = len(machine.events("node.joined"))
    machine.run("systemctl", "start", "mesh-events")
    machine.wait("node.joined", lambda: len(machine.events("node.joined")) > before)


def taken_port(machine):
    """Debian starts the nats-server that it installs, on the node's port and without a stream."""
    machine.run("systemctl", "start", "nats-server")
    machine.outcome("systemctl", "start", "mesh-events")
    machine.wait("the reason", lambda: "Port 4222 on 127.0.0.1 is in use" in machine.journal())
    machine.run("systemctl", "stop", "mesh-events")
    check("systemctl disable --now nats-server" in machine.journal(),
          "beside Debian's own nats-server the node says what is wrong, and what to do")
    machine.run("systemctl", "disable", "--now", "nats-server")


def broken_manifest(machine):
    """What a new start does not mend is not started again."""
    manifest = open("Scripts/unit/mesh.yaml", encoding="utf-8").read()
    machine.write(f"{SETTINGS}/mesh.yaml", manifest.replace("command:", "comand:", 1))
    machine.outcome("systemctl", "start", "mesh-events")
    machine.wait("the unit to have failed", lambda: machine.unit("ActiveState") == "failed")
    check(machine.unit("ExecMainStatus") == "65" and machine.unit("NRestarts") == "0"
          and "did you mean 'command'" in machine.journal(),
          "a mistake in the manifest is said once, and the node is not started again and again", machine.journal())
    machine.write(f"{SETTINGS}/mesh.yaml", manifest)


def starts(machine):
    machine.run("systemctl", "enable", "--now", "mesh-events")
    machine.wait("node.joined", lambda: machine.events("node.joined"))
    check(machine.unit("ActiveState") == "active", "the unit starts, and the node is in the stream")
    machine.wait("its state in a line", lambda: re.fullmatch(rf"{re.escape(machine.name)}: \d+ tools? running.*",
                                                             machine.unit("StatusText")))
    check(machine.unit("Type") == "notify" and machine.unit("NotifyAccess") == "main",
          "the node tells systemd how it is: " + machine.unit("StatusText"))
    main = machine.status(machine.unit("MainPID"))
    check(main["Uid"].split()[0] != "0" and int(main["CapBnd"], 16) == 0 and main["NoNewPrivs"] == "1"
          and main["Seccomp"] == "2", "the node is a user without rights, and its calls of the system are filtered", main)
    limits = machine.run("cat", f"/proc/{machine.unit('MainPID')}/limits")
    most = int(re.search(r"Max open files\s+\d+\s+(\d+)", machine.run("cat", "/proc/1/limits"))[1])
    found = int(re.search(r"Max open files\s+(\d+)", limits)[1])
    check(found == min(65536, most), f"it may open {found} files")
    signed = machine.events("node.joined", "--trust", "/root/trust")
    check(len(signed) == 1, "it signs with the key that LoadCredential= hands over", machine.journal())
    # From version 254 on, systemd gives a credential these permissions, and the service's user an access list.
    key = "/run/credentials/check/sign.nk"
    machine.run("install", "-D", "-m", "440", "/root/sign.nk", key)
    machine.run("mesh-events", "emit", "user.signed", "--ack", "--sign-key", key)
    machine.run("install", "-m", "440", "/root/sign.nk", "/root/open.nk")
    refused = machine.outcome("mesh-events", "emit", "user.signed", "--sign-key", "/root/open.nk")
    check(refused.returncode != 0 and "chmod 600" in refused.stderr and machine.events("user.signed", "--trust", "/root/trust"),
          "a newer systemd's credentials are read, too; elsewhere such permissions are refused", refused)


def tools_run(machine):
    emitted = machine.wait("the tool's own event", lambda: machine.events("user.checked"))
    check(emitted[0]["data"] == {"by": "plain", "word": "from-the-file"},
          "a tool emits into the stream; EnvironmentFile= is read", emitted)
    check([event["data"]["tool"] for event in machine.events("tool.started")].count("plain") == 1, "tool.started is there")
    lines = machine.run("mesh-events", "tool", "logs", "plain")
    check(re.search(r"out  said on standard output", lines), "its output can be read", lines)
    check(os.path.isdir(machine.root + "/var/lib/private/mesh-events/logs")
          and os.path.isdir(machine.root + "/var/lib/private/mesh-events/4222"), "logs and events are in the state directory")
    plain = machine.wait("the tool's process", lambda: machine.pids("sleep 7001"))[0]
    check("NOTIFY_SOCKET" not in machine.run("cat", f"/proc/{plain}/environ"), "a tool does not get the node's NOTIFY_SOCKET")
    machine.wait("the schedule", lambda: os.path.exists(machine.root + "/var/lib/private/mesh-events/schedules"))
    check(True, "so is the record of schedules")


def tool_in_sandbox(machine):
    place = machine.root + "/var/lib/private/mesh-events/seen"
    machine.wait("what the tool sees", lambda: os.path.exists(place))
    seen = pairs(open(place, encoding="utf-8").read())
    check(seen["uid"] != "0" and seen["bounding"] == "0000000000000000" and seen["new_privileges"] == "1",
          "a tool is the same user without rights", seen)
    check(seen["user"] == "mesh-events", "the user has a name, by libnss-systemd", seen)
    settings = {name: seen[name] for name in ("nice", "umask", "cpus", "nofile", "core")}
    check(settings == {"nice": "5", "umask": "0027", "cpus": "0", "nofile": "512", "core": "0"},
          "nice, umask, cpus and limits of a manifest hold", settings)
    check(seen["writes"].split() == ["/dev/shm", "/tmp", "/var/tmp", STATE],
          "it writes into the state directory and temporary ones, nowhere else", seen)
    check(machine.outcome("ls", "/tmp/written", "/var/tmp/written").stdout == "", "its /tmp and /var/tmp are not the machine's")
    check(seen["directory"] == SETTINGS and seen["home"] == STATE, "its directory is that of the manifest")
    check(seen["processes_of_others"] == "0" and seen["homes"] == "0", "it sees neither homes nor processes of others", seen)


def figures(machine):
    def usage():
        text = machine.run("mesh-events", "status", f"{machine.name}/daemon", "--json")
        found = json.loads(text)["tool"].get("usage") or {}
        return found if found.get("processes") == 3 and "memory_mb" in found and "files" in found else None
    machine.wait("the figures of a daemon", usage)
    check(True, "the figures of a tool count the daemon that it has left behind, its environment cleared")


def limits_hold(machine):
    crashed = machine.wait("the end of the tool that takes memory", lambda: machine.of_tool("tool.crashed", "hungry"))
    check("more than its limit of 100 MB" in crashed[0]["data"]["error"], "the limit of memory is held", crashed)
    for tool, reason in {
        "other": "cannot run as user nobody: only a node that runs as root",
        "nicer": "its nice value cannot be set to -5: Permission denied",
        "wide": "its limit nofile cannot be set to 2000000: Operation not permitted",
    }.items():
        found = machine.wait(f"the refusal of {tool}", lambda: machine.of_tool("tool.crashed", tool))
        check(reason in found[0]["data"]["error"], f"refused, with the reason: {reason}", found)
    machine.wait("the failed tools in StatusText=", lambda: re.search(r", [4-9] failed", machine.unit("StatusText")))
    check(True, "systemctl status says how many tools have failed")


def health(machine):
    ready = machine.wait("tool.ready", lambda: machine.of_tool("tool.ready", "notifier"))
    check(ready, "sd_notify reaches the node: tool.ready")
    crashed = machine.wait("the watchdog", lambda: machine.of_tool("tool.crashed", "notifier"))
    check(machine.of_tool("tool.unhealthy", "notifier") and "watchdog" in json.dumps(crashed[0]["data"]),
          "the watchdog ends a tool that gives no sign of life", crashed)
    check(not machine.of_tool("tool.unhealthy", "probed"), "a probe by a program finds what is there")
    os.remove(machine.root + "/var/lib/private/mesh-events/alive")
    machine.wait("tool.unhealthy", lambda: machine.of_tool("tool.unhealthy", "probed"))
    check(True, "and misses what is not")


def reloads(machine):
    before = machine.pids("sleep 7001")
    manifest = open("Scripts/unit/mesh.yaml", encoding="utf-8").read()
    machine.write(f"{SETTINGS}/mesh.yaml", manifest + '  - {name: added, version: "1", command: [sleep, "7050"]}\n')
    machine.run("systemctl", "reload", "mesh-events")
    machine.wait("the new tool", lambda: machine.pids("sleep 7050"))
    check(machine.pids("sleep 7001") == before, "systemctl reload starts the new tool, and lets the others run on")
    machine.write(f"{SETTINGS}/mesh.yaml", "tools: 7\n")
    machine.run("systemctl", "reload", "mesh-events")
    machine.wait("the mistake", lambda: re.search(r"mesh\.yaml:1:\d+", machine.journal()))
    machine.wait("the end of the reload", lambda: machine.unit("ActiveState") == "active")
    check(machine.unit("ActiveState") == "active" and machine.pids("sleep 7001") == before,
          "a manifest with a mistake changes nothing, and the journal has its place")
    machine.write(f"{SETTINGS}/mesh.yaml", manifest)
    machine.run("systemctl", "reload", "mesh-events")
    machine.wait("the tool's end", lambda: not machine.pids("sleep 7050"))
    check(machine.pids("sleep 7001") == before, "a tool that the manifest no longer names is ended")


def daemon_stops(machine):
    parts = ["sleep 7002", "sleep 7003", "sleep 7004"]
    check(all(len(machine.pids(part)) == 1 for part in parts), "a tool that makes itself a daemon runs")
    machine.run("mesh-events", "tool", "stop", "daemon")
    check(not any(machine.pids(part) for part in parts), "tool stop ends all of it", machine.run("ps", "-ef"))
    machine.run("mesh-events", "tool", "start", "daemon")
    machine.wait("the daemon", lambda: all(machine.pids(part) for part in parts))


def killed(machine):
    main, joined = machine.unit("MainPID"), len(machine.events("node.joined"))
    parts = [f"sleep {number}" for number in (7001, 7002, 7003, 7004)]
    old = [pid for part in parts for pid in machine.pids(part)]
    machine.run("kill", "-KILL", main)
    machine.wait("the node to be back", lambda: len(machine.events("node.joined")) > joined)
    machine.wait("its tools to be back", lambda: all(machine.pids(part) for part in parts))
    now = [pid for part in parts for pid in machine.pids(part)]
    check(machine.unit("NRestarts") == "1" and machine.unit("MainPID") != main, "systemd restarts a node that was killed")
    check(len(now) == len(parts) and not set(now) & set(old), "its tools are there once, daemons too", (old, now))
    check(machine.events("user.checked"), "events from before are there")


def watched(machine):
    """WatchdogSec=, which the unit leaves to its machine, against a node that does nothing any more."""
    machine.write(f"{DROP_INS}/watchdog.conf", "[Service]\nWatchdogSec=3s\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "mesh-events", timeout=100)
    time.sleep(8)
    check(machine.unit("NRestarts") == "0" and machine.unit("ActiveState") == "active", "the node gives systemd signs of life")
    machine.run("kill", "-STOP", machine.unit("MainPID"))
    machine.wait("the node to be started again", lambda: machine.unit("NRestarts") == "1", 120)
    check(True, "one that gives none is ended and started again")
    os.remove(machine.root + DROP_INS + "/watchdog.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "mesh-events", timeout=100)


def stops(machine):
    machine.wait("the tool that does not listen", lambda: machine.pids("sleep 7005"))
    machine.outcome("rm", "-f", f"{STATE}/signals")
    began = time.monotonic()
    machine.run("systemctl", "stop", "mesh-events", timeout=100)
    took = time.monotonic() - began
    check(2 <= took < 20, f"systemctl stop waits for the grace of a tool that does not listen, and kills it: {took:.1f} s")
    check(machine.unit("Result") == "success" and machine.unit("ExecMainStatus") == "0", "the node ends with code 0",
          machine.journal())
    check(not machine.members(), "no process is left", machine.run("ps", "-ef"))
    signals = open(machine.root + "/var/lib/private/mesh-events/signals", encoding="utf-8").read().split()
    check(signals == ["INT"], "a tool gets the signal of its settings from the node, and none from systemd", signals)


def time_out(machine):
    """TimeoutStopSec=, with less than the unit's 90 s, against a tool with more grace."""
    check(machine.unit("TimeoutStopUSec") == "1min 30s", "TimeoutStopSec= is 90 s")
    machine.write(f"{DROP_INS}/stop.conf", "[Service]\nTimeoutStopSec=4s\n")
    machine.write(f"{SETTINGS}/mesh.yaml", """tools:
  - {name: deaf, version: "1", grace: 60s, command: [sh, -c, "trap '' TERM; while :; do sleep 7060; done"]}
""")
    machine.run("systemctl", "daemon-reload")
    start(machine)
    machine.wait("the tool", lambda: machine.pids("sleep 7060"))
    left = machine.events("node.left")
    check(left, "node.left of the stop before was stored")
    machine.run("systemctl", "stop", "mesh-events")
    check(machine.unit("Result") == "timeout" and not machine.members(),
          "when the node takes longer to stop, systemd kills all of it", machine.run("ps", "-ef"))
    os.remove(machine.root + DROP_INS + "/stop.conf")


def gpus(machine):
    put(machine, "gpu.yaml", f"{SETTINGS}/mesh.yaml")
    put(machine, "see-gpus", "/usr/local/bin/see-gpus", 0o755)
    put(machine, "nvidia-smi", "/usr/local/bin/nvidia-smi", 0o755)
    put(machine, "devices", "/root/devices")
    machine.run("sh", "-ec", """
        mount --bind /root/devices /proc/devices
        mknod -m 666 /dev/nvidia0 c 195 0
        mknod -m 666 /dev/nvidiactl c 195 255
        mkdir -p /dev/dri
        mknod -m 660 /dev/dri/renderD128 c 226 128
        chgrp render /dev/dri/renderD128
        mknod -m 660 /dev/kfd c 235 0
        chgrp render /dev/kfd
        mknod -m 666 /dev/other c 10 229
    """)

    def seen():
        start(machine)
        path = machine.root + "/var/lib/private/mesh-events/gpus"
        machine.wait("what the tool sees", lambda: os.path.exists(path))
        found = pairs(open(path, encoding="utf-8").read())
        since = machine.events("node.joined")[-1]["sequence"]
        event = machine.wait("the next node.health", lambda: [
            event for event in machine.events("node.health") if event["sequence"] > since and event["data"]["resources"]["uptime_s"] > 5
        ])[-1]
        machine.run("systemctl", "stop", "mesh-events")
        os.remove(path)
        return found, event["data"]["resources"].get("gpus")

    names = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/dri/renderD128", "/dev/kfd"]
    found, devices = seen()
    check(found["interfaces"] == "Address family not supported by protocol", "a tool does not list network interfaces", found)
    check(all(found[name] == "No such file or directory" for name in names + ["/dev/other"]) and not devices,
          "without the drop-in a tool sees no GPU, and node.health has none", (found, devices))
    shutil.copy(machine.root + "/usr/local/share/mesh-events/gpu.conf", machine.root + DROP_INS)
    machine.run("systemctl", "daemon-reload")
    found, devices = seen()
    check(all(found[name] == "No such device or address" for name in names),
          "with it a tool may open them: it comes as far as the driver, which is not there", found)
    check(found["/dev/other"] == "Operation not permitted", "other devices stay closed", found)
    check(found["interfaces"] == "open", "and it may list network interfaces", found)
    check(devices and devices[0]["name"] == "Stand-in", "node.health has the GPUs", devices)


def boots_again(root):
    """A boot of its own: the unit was enabled."""
    machine = Node(root, checks)
    try:
        joined = machine.wait("the node after a boot", lambda: machine.events("node.joined"))
        machine.wait("its start", lambda: machine.unit("ActiveState") == "active" and len(machine.events("node.joined")) > 1)
        check(joined, "after a boot the node runs by itself, with the events from before")
    finally:
        machine.end()


def prepare(root):
    built = {**os.environ, "DESTDIR": root, "PREFIX": "/usr/local"}
    run("Scripts/install.sh", "install", env=built, timeout=3600)
    checks.bring_runtime(root + "/usr/local/bin/mesh-events", root)
    check("0." in run("chroot", root, "/usr/local/bin/mesh-events", "--version"), "mesh-events is installed in it")


def settle(machine):
    """What the unit reads: the manifest, variables, a key."""
    machine.name = machine.run("hostname").strip()
    put(machine, "mesh.yaml", f"{SETTINGS}/mesh.yaml")
    put(machine, "see", f"{SETTINGS}/see", 0o755)
    machine.write(f"{SETTINGS}/environment", "CHECK_WORD=from-the-file\n")
    machine.run("sh", "-ec", f"cd /root && mesh-events key new sign.nk --node {machine.name} >trust")
    machine.write(f"{DROP_INS}/key.conf", "[Service]\nLoadCredential=sign.nk:/root/sign.nk\n"
                                          "Environment=MESH_EVENTS_SIGN_KEY=%d/sign.nk\n")
    machine.run("systemctl", "daemon-reload")


STEPS = (settle, taken_port, broken_manifest, starts, tools_run, tool_in_sandbox, figures, limits_hold, health, reloads,
         daemon_stops, killed, watched, stops, time_out, gpus)
PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "libnss-systemd", "nats-server", "procps")


def main():
    need_control_groups(checks)
    root = checks.bare_debian(*PACKAGES)
    try:
        prepare(root)
        machine = Node(root, checks)
        try:
            for step in STEPS:
                step(machine)
        finally:
            machine.end()
        boots_again(root)
    finally:
        remove(root)
    checks.done()


if __name__ == "__main__":
    main()
