#!/usr/bin/env -S python3 -B
"""Carries out what README's section "A node of your own" says, word for word, in a bare Debian 12: first-hour.py PROGRAM, as root.

PROGRAM is what `make release` has built, or a debug build. The steps are read from README, so that it cannot differ. A user
with sudo types them; only `make` and `systemctl` are stand-ins, for there is no compiler and no service: `sudo make install`
puts in place what `Scripts/install.sh` has put aside. At the end, a server at the address that README names for alerts has to
have got the test, and the crashes: the one of README, and one by `kill -9`.

Every wait has a deadline that a slow machine keeps.
"""
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

from bare_debian import Checks, remove

HEADING = "## A node of your own"
USER = "me"
DEADLINE = 300


def steps(readme):
    """The lines of the two blocks: what is typed in the first terminal, and in the second."""
    section = readme.split(HEADING + "\n", 1)[1].split("\n## ", 1)[0]
    blocks = [block.strip().split("\n") for block in re.findall(r"```sh\n(.*?)```", section, re.S)]
    if len(blocks) != 2:
        raise SystemExit(f"first-hour: README's section has {len(blocks)} blocks, not one for each terminal")
    return blocks


def address(lines):
    """Where README has the alerts sent."""
    found = [re.search(r"--notify webhook=(\S+)", line) for line in lines]
    return urllib.parse.urlsplit(next(match.group(1) for match in found if match))


def receive(port, path):
    """Writes the body of each POST into a file, a line each, until it is ended."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with open(path, "ab") as file:
                file.write(body.replace(b"\n", b" ") + b"\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    print("listening", flush=True)
    server.serve_forever()


class Machine:
    """The bare Debian, with a network of its own in which its user types."""

    def __init__(self, checks, program):
        self.checks = checks
        self.root = checks.bare_debian("sudo")
        self.processes = []
        try:
            self.prepare(program)
        except BaseException:
            self.end()
            raise

    def prepare(self, program):
        root, run = self.root, self.checks.run
        shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
        self.write("/etc/hosts", f"127.0.0.1 localhost {os.uname().nodename}\n")
        run("chroot", root, "useradd", "--create-home", "--shell", "/bin/sh", USER)
        self.write(f"/etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        # What `make` puts in place, and what it has no compiler for here.
        run("Scripts/install.sh", "install", env={**os.environ, "DESTDIR": root + "/opt/built", "PREFIX": "/usr/local"})
        self.checks.bring_runtime(program, root)
        self.write("/usr/local/bin/make", """#!/bin/sh
            case "$*" in
            release) ;;
            install) cp -a /opt/built/. / ;;
            *) exit 2 ;;
            esac
            """, 0o755)
        self.write("/usr/local/bin/systemctl", '#!/bin/sh\necho "$*" >>/opt/systemctl\n', 0o755)
        # A mount and a network namespace that last until the end.
        script = f"""
            set -e
            ip link set lo up
            mount -t proc proc {root}/proc
            mount --rbind /dev {root}/dev
            echo ready
            exec sleep infinity
        """
        self.namespace = self.start(["unshare", "-m", "-n", "sh", "-c", script], "ready")

    def write(self, path, text, mode=0o644):
        with open(self.root + path, "w", encoding="utf-8") as file:
            file.write("\n".join(line.removeprefix(" " * 12) for line in text.split("\n")))
        os.chmod(self.root + path, mode)

    def launch(self, command, **options):
        """Starts a process in a group of its own, which ends with the machine."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, text=True, **options)
        self.processes.append(process)
        return process

    def start(self, command, word):
        """Starts a process, and waits until it prints a word."""
        process = self.launch(command, stdout=subprocess.PIPE)
        # The line comes, or the process is ended; then there is no line.
        timer = threading.Timer(DEADLINE, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        self.checks.check(line.strip() == word, f"{command[0]} runs", line)
        return process

    def inside(self, command, network=True):
        """The arguments that run something in the machine's namespaces; without its network, in this machine's."""
        return ["nsenter", "-t", str(self.namespace.pid), "-m", *(["-n"] if network else []), *command]

    def typed(self, line):
        """The arguments that run a line as the user types it."""
        environment = ["env", "-i", "-C", f"/home/{USER}", f"HOME=/home/{USER}", f"USER={USER}", "LANG=C.UTF-8",
                       "PATH=/usr/local/bin:/usr/bin:/bin"]
        # Packages come from Debian's servers.
        network = "apt-get" not in line
        user = ["chroot", f"--userspec={USER}:{USER}", "--groups=", self.root]
        return self.inside([*user, *environment, "/bin/sh", "-c", line], network)

    def type(self, line):
        """Types a line, and waits for its end; what it prints."""
        outcome = subprocess.run(self.typed(line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, timeout=2 * DEADLINE)
        self.checks.check(outcome.returncode == 0, line, outcome.stdout[-3000:])
        return outcome.stdout

    def end(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        remove(self.root)


def wait_until(checks, what, condition, details):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            checks.check(False, what, details())
        time.sleep(0.2)
    checks.check(True, what)


def main(program):
    checks = Checks("first-hour")
    with open("README.md", encoding="utf-8") as file:
        first, second = steps(file.read())
    target = address(first)
    machine = Machine(checks, program)
    try:
        got = machine.root + "/opt/got"
        said = machine.root + "/opt/said"
        open(got, "w").close()
        this = [sys.executable, "-B", os.path.abspath(__file__)]
        machine.start(machine.inside([*this, "--receive", str(target.port), got]), "listening")

        def text(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()

        def told():
            """The notifications so far. The last line may not be whole yet."""
            lines = text(got).split("\n")[:-1]
            return [json.loads(line)["data"] for line in lines]

        def reports(status):
            """What was told of crashes of the tool. Several can be told together."""
            alerts = [alert for one in told() if not one["test"] for alert in one["alerts"]]
            return [alert for alert in alerts if alert["status"] == status and alert["group"].get("tool") == "clock"]

        def everything():
            return f"{text(got)[-3000:]}\n{text(said)[-3000:]}"

        for line in first[:-1]:
            machine.type(line)
        asked = text(machine.root + "/opt/systemctl") if os.path.exists(machine.root + "/opt/systemctl") else ""
        checks.check("disable --now nats-server" in asked, "Debian's nats-server is stopped")

        with open(said, "w", encoding="utf-8") as file:
            serve = machine.launch(machine.typed(first[-1]), stdout=file, stderr=file)
        checks.check(True, first[-1])
        wait_until(checks, "the node watches the mesh", lambda: "watches the mesh by 2 rules" in text(said) or
                   serve.poll() is not None, everything)
        checks.check(serve.poll() is None, "the node runs", everything())

        output = {line.split("#")[0].strip(): machine.type(line) for line in second}
        wait_until(checks, "the test has arrived", lambda: any(one["test"] for one in told()), everything)
        status = next(text for line, text in output.items() if line.startswith("mesh-events status"))
        checks.check(re.search(r"clock\s+-\s+running", status), "the status shows the tool", status)
        wait_until(checks, "the crash has arrived", lambda: reports("firing"), everything)
        checks.check("SIGKILL" in reports("firing")[0]["reason"], "it says that the tool was killed", everything())
        wait_until(checks, "that it is over has arrived", lambda: reports("resolved"), everything)

        started = re.findall(r"clock: tool started \(pid=(\d+)\)", text(said))
        os.kill(int(started[-1]), signal.SIGKILL)
        checks.check(len(started) >= 2, f"kill -9 {started[-1]}")
        wait_until(checks, "that crash has arrived, too", lambda: len({one["id"] for one in reports("firing")}) > 1,
                   everything)

        # Ctrl-C, which all processes of a terminal get.
        os.killpg(serve.pid, signal.SIGINT)
        serve.wait(timeout=DEADLINE)
        checks.check("node.left" in text(said), "Ctrl-C ends the node", everything())
    finally:
        machine.end()
    checks.done()


if sys.argv[1:2] == ["--receive"]:
    receive(int(sys.argv[2]), sys.argv[3])
else:
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {shlex.quote(sys.argv[0])} PROGRAM")
    main(os.path.abspath(sys.argv[1]))
