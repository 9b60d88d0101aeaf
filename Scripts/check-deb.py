#!/usr/bin/env -S python3 -B
"""Tries the Debian package: builds it twice, lets lintian read it, and installs it into a bare Debian 12 that is booted in a
container: there the node is started, the package upgraded, removed, purged and installed again.

`make check-deb`, as root on Debian with control groups of version 2; BUILD=debug is quicker.
"""
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import packaging
from bare_debian import Checks, remove
from machine import Machine, need_control_groups

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
checks = Checks("check-deb")
check, run = checks.check, checks.run
SETTINGS, STATE = "/etc/mesh-events", "/var/lib/private/mesh-events"
DROP_IN = "/etc/systemd/system/mesh-events.service.d/page.conf"
# What lintian remarks below an error, and why it stays. What is not listed fails the check.
REMARKS = {
    "hardening-no-bindnow": "SwiftPM links so",
    "hardening-no-fortify-functions": "it is for C; most of the program is Swift, which checks bounds itself",
    "package-supports-alternative-init-but-no-init.d-script": "the unit is for systemd alone",
    "spelling-error-in-binary": "names in symbols, and texts of others",
}
# A debug build finds the Swift runtime at the toolchain's place.
SUPPRESSED = [] if packaging.RELEASE else ["--suppress-tags", "custom-library-search-path"]


def build(place, **surroundings):
    """A package built in other surroundings, which it must not depend on."""
    Path(place).mkdir()
    (Path(place) / "tmp").mkdir()
    script = ("import sys, pathlib, deb; package, rows, _ = deb.build(pathlib.Path(sys.argv[1])); print(package)\n"
              "for name, row in rows.items(): print(f'check-deb: | {name} | {row} |')")
    environment = {**os.environ, "PYTHONPATH": "Scripts", "TMPDIR": f"{place}/tmp", "PROGRAM": str(program), **surroundings}
    said = run(sys.executable, "-B", "-c", script, place, env=environment, timeout=1800,
               umask=0o077 if surroundings else 0o022).strip().partition("\n")
    return said[0], said[2]


def builds_twice(work):
    first, sizes = build(f"{work}/one")
    second, _ = build(f"{work}/two", TZ="Pacific/Auckland", LC_ALL="C", SOURCE_DATE_EPOCH=str(packaging.epoch()))
    check(filecmp.cmp(first, second, shallow=False), "two builds of one program are equal, byte for byte: another directory, "
          "time zone, locale and umask")
    print(sizes)
    return first


def lintian_reads(package):
    outcome = subprocess.run(["lintian", "--display-info", "--tag-display-limit", "0", *SUPPRESSED, package], capture_output=True,
                             text=True, stdin=subprocess.DEVNULL, timeout=900, check=False)
    said = re.findall(r"^([EWI]): \S+(?: \S+)?: (\S+)(.*)$", outcome.stdout, re.M)
    check(outcome.returncode == 0 and not [tag for level, tag, _ in said if level == "E"], "lintian finds no error",
          outcome.stdout + outcome.stderr)
    unknown = {tag for _, tag, _ in said} - set(REMARKS)
    check(not unknown, f"nor anything else that is not known: {', '.join(sorted({tag for _, tag, _ in said}))}", outcome.stdout)


def higher(package, work):
    """The same package in a higher version, with other configuration files."""
    tree, target = f"{work}/tree", f"{work}/higher.deb"
    run("dpkg-deb", "-R", package, tree)
    for path, change in {
        "DEBIAN/control": lambda text: re.sub(r"^Version: .*$", "Version: 999.0-1", text, flags=re.M),
        "etc/mesh-events/environment": lambda text: text + "#NEWER=package\n",
        "etc/mesh-events/mesh.yaml": lambda text: text + "# Of the newer package.\n",
    }.items():
        place = Path(tree) / path
        place.write_text(change(place.read_text(encoding="utf-8")), encoding="utf-8")
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, target)
    shutil.rmtree(tree)
    return target


def files(root):
    """What is on the machine, without what dpkg, systemd and logs keep for themselves."""
    kept = ("var/log", "var/cache", "var/lib/dpkg", "var/lib/systemd", "var/lib/nats", "var/lib/apt", "var/tmp")
    found = set()
    for top in ("etc", "usr", "var", "opt"):
        for directory, folders, names in os.walk(f"{root}/{top}"):
            place = os.path.relpath(directory, root)
            if place.startswith(kept):
                folders.clear()
                continue
            found.update(f"/{place}/{name}" for name in folders + names)
    return found


def page(machine, path):
    """What the page of the node answers."""
    ask = (f"exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:8080\\r\\n"
           "Connection: close\\r\\n\\r\\n' >&3 && cat <&3")
    return machine.outcome("bash", "-c", ask).stdout


def answers(machine):
    machine.wait("the page", lambda: " 200 " in page(machine, "/healthz").partition("\n")[0])
    return "<title>" in page(machine, "/")


def dpkg(machine, *arguments):
    return machine.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments, timeout=600)


def state(machine):
    """Whether the unit is enabled, and whether it runs."""
    return tuple(machine.outcome("systemctl", verb, "mesh-events").stdout.strip() for verb in ("is-enabled", "is-active"))


def read(machine, path):
    with open(machine.root + path, encoding="utf-8") as file:
        return file.read()


def events(machine, kind):
    outcome = machine.outcome("mesh-events", "list", kind, "--json")
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def installs(machine):
    # As README.Debian says.
    machine.run("systemctl", "disable", "--now", "nats-server")
    dpkg(machine, "-i", "/root/mesh-events.deb")
    check(state(machine) == ("disabled", "inactive"), "it is installed; nothing is started", state(machine))
    check(dpkg(machine, "-V", "mesh-events") == "", "its files are as its checksums say")
    user = machine.run("getent", "passwd", "mesh-events").split(":")
    check(user[5] == "/var/lib/mesh-events" and user[6].strip().endswith("nologin") and int(user[2]) < 1000,
          f"there is a user of the system, number {user[2]}")
    settings = sorted(os.listdir(machine.root + SETTINGS))
    check(settings == ["environment", "mesh.yaml"], "its settings are in /etc/mesh-events", settings)


def starts(machine):
    machine.write(DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/bin/mesh-events serve --dashboard\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "mesh-events")
    check(answers(machine), "systemctl enable --now starts the node, and its page answers")
    status = machine.run("systemctl", "--no-pager", "status", "mesh-events")
    check("active (running)" in status and "Status: " in status and "man:mesh-events-serve(1)" in status,
          "systemctl status says that it runs, and how its tools are", status)
    number = machine.run("id", "-u", "mesh-events").strip()
    main = machine.run("cat", f"/proc/{machine.unit('MainPID')}/status")
    check(re.search(rf"^Uid:\t{number}\t", main, re.M), "the node is the package's user", main)
    machine.run("mesh-events", "emit", "user.checked", "by=package", "--ack")
    check(os.path.isdir(machine.root + STATE + "/4222"), "events are kept in the state directory")


def upgrades(machine):
    environment = read(machine, f"{SETTINGS}/environment") + "JB_NODE_NAME=kept\n"
    machine.write(f"{SETTINGS}/environment", environment)
    before = machine.unit("MainPID")
    dpkg(machine, "--force-confold", "-i", "/root/higher.deb")
    check(dpkg(machine, "-s", "mesh-events").count("\nVersion: 999.0-1\n") == 1, "a higher version takes its place")
    check(machine.unit("MainPID") != before and state(machine) == ("enabled", "active") and answers(machine),
          "the node is restarted by the upgrade", machine.journal())
    beside = os.path.exists(machine.root + SETTINGS + "/environment.dpkg-dist")
    check(read(machine, f"{SETTINGS}/environment") == environment and beside, "a changed setting is kept, the new one beside it")
    check("# Of the newer package." in read(machine, f"{SETTINGS}/mesh.yaml"), "a setting that was not changed is the newer one")
    machine.wait("node.joined", lambda: any(event["node"] == "kept" for event in events(machine, "node.joined")))
    check(events(machine, "user.checked"), "the node has the name of the kept setting, and the events from before")
    machine.run("systemctl", "stop", "mesh-events", timeout=120)
    dpkg(machine, "-i", "/root/higher.deb")
    check(state(machine) == ("enabled", "inactive"), "a node that was stopped stays so")
    machine.run("systemctl", "start", "mesh-events")


def removes(machine):
    main = machine.unit("MainPID")
    dpkg(machine, "-r", "mesh-events")
    gone = machine.outcome("cat", f"/proc/{main}/status").returncode != 0
    left = machine.outcome("pgrep", "-f", "mesh-events serve|mesh-events-guard").stdout
    check(gone and not left and not os.path.exists(machine.root + "/usr/bin/mesh-events"), "removing it stops the node", left)
    check("Status: deinstall ok config-files" in dpkg(machine, "-s", "mesh-events")
          and "JB_NODE_NAME=kept" in read(machine, f"{SETTINGS}/environment") and os.path.isdir(machine.root + STATE + "/4222"),
          "settings and events stay")
    dpkg(machine, "-i", "/root/higher.deb")
    machine.run("systemctl", "start", "mesh-events")
    check(answers(machine) and events(machine, "user.checked"), "installed again it goes on with both", machine.journal())


def purges(machine, before):
    machine.write(f"{SETTINGS}/sign.nk", "a key of the administrator's\n", 0o600)
    dpkg(machine, "-P", "mesh-events")
    left = files(machine.root) - before
    ours = {path for path in left if "mesh-events" in path}
    check(ours == {os.path.dirname(DROP_IN), DROP_IN, SETTINGS, f"{SETTINGS}/sign.nk"},
          "purging it leaves what the administrator has made, nothing else", sorted(ours))
    users = r"/var/lib/private|/etc/(passwd|group|shadow|gshadow)-|/etc/\.pwd\.lock"
    others = {path for path in left - ours if not re.fullmatch(users, path)}
    check(not others, "nor anything elsewhere", sorted(others))
    check(machine.outcome("getent", "passwd", "mesh-events").returncode == 0, "the user stays, as Debian's policy has it")
    check(machine.outcome("systemctl", "cat", "mesh-events").returncode != 0, "systemd knows the service no longer")
    os.remove(machine.root + f"{SETTINGS}/sign.nk")
    dpkg(machine, "-i", "/root/mesh-events.deb")
    check(state(machine) == ("disabled", "inactive") and "kept" not in read(machine, f"{SETTINGS}/environment")
          and not os.path.exists(machine.root + STATE), "installed once more it is as at the first time", state(machine))
    machine.run("systemctl", "start", "mesh-events")
    check(answers(machine) and not events(machine, "user.checked"), "and runs, without events from before", machine.journal())


def in_machine(package, work):
    depends = re.search(r"^Depends: (.*)$", run("dpkg-deb", "-f", package), re.M)[1]
    needed = [re.match(r"\S+", part.strip())[0] for part in depends.split(",")]
    root = checks.bare_debian(*sorted({*needed, "systemd", "systemd-sysv", "udev", "dbus", "nats-server", "procps"}))
    try:
        if not packaging.RELEASE:
            checks.bring_runtime(str(program), root)
        shutil.copy(package, root + "/root/mesh-events.deb")
        shutil.copy(higher(package, work), root + "/root/higher.deb")
        machine = Machine(root, checks)
        try:
            before = files(root)
            for step in (installs, starts, upgrades, removes):
                step(machine)
            purges(machine, before)
        finally:
            machine.end()
    finally:
        remove(root)


def main():
    with tempfile.TemporaryDirectory(prefix="mesh-events-check-deb.") as work:
        package = builds_twice(work)
        lintian_reads(package)
        in_machine(package, work)
    checks.done()


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("check-deb: needs root, for debootstrap and systemd-nspawn")
    need_control_groups(checks)
    program = packaging.built()
    main()
