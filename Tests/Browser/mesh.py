"""A real mesh and a dashboard for the browser's tests: the built programs, on free ports, gone with the test."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program():
    """The built mesh-events."""
    named = os.environ.get("MESH_EVENTS")
    if named:
        return named
    path = subprocess.run(["swift", "build", "--show-bin-path"], cwd=ROOT, check=True, capture_output=True, text=True)
    return str(Path(path.stdout.strip()) / "mesh-events")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, condition, within=10.0):
    """Waits until `condition` answers something true, and returns that."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {within} s in vain for {what}"
        time.sleep(0.02)


def nats_server():
    """The server that `serve` runs; the tests' own when the machine has none."""
    named = os.environ.get("MESH_EVENTS_NATS_SERVER")
    if named:
        return named
    found = subprocess.run(["Scripts/test-servers.sh"], cwd=ROOT, check=True, capture_output=True, text=True)
    return found.stdout.strip().split(":")[0]


class Process:
    """A program that runs until it is stopped; what it says is kept."""

    def __init__(self, *arguments, environment=None, directory=None):
        self.log = tempfile.TemporaryFile()
        # What a shell has set for its own mesh is none of the tests' business.
        inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        inherited["MESH_EVENTS_NATS_SERVER"] = nats_server()
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            env={**inherited, **(environment or {})}, cwd=directory)

    def said(self):
        # The position in the file is the program's too: a seek would have it write over what it said before.
        file = self.log.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def wait_for(self, pattern, within=20.0):
        def look():
            found = re.search(pattern, self.said())
            assert found or self.process.poll() is None, f"it ended: {self.said()}"
            return found
        try:
            return eventually(pattern, look, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {self.said()}") from None

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.log.close()


class Mesh:
    """A node with a server of its own, and a dashboard beside it; with `keeps=False` the server alone, without a stream.

    `dashboard` are more options for the dashboard.
    """

    def __init__(self, node="atelier", manifest=None, token=None, keeps=True, dashboard=()):
        self.program = program()
        self.directory = Path(tempfile.mkdtemp(prefix="mesh-events-browser."))
        self.processes = []
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        store = str(self.directory / "store")
        if keeps:
            arguments = ["serve", "--node", node, "--port", str(self.port), "--store-dir", store,
                         "--log-directory", str(self.directory / "logs")]
            if manifest:
                (self.directory / "mesh.yaml").write_text(manifest)
                arguments += ["--config", str(self.directory / "mesh.yaml")]
            self.server = self.start(*arguments)
            self.server.wait_for(r"listens on")
        else:
            self.start_server()
        self.token = token
        self.trust = None
        self.dashboard_options = dashboard
        self.page_port = free_port()
        self.dashboard = None
        self.start_dashboard()

    def start_server(self):
        """The server alone, again with what it had."""
        self.server = Process(nats_server(), "-js", "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(self.directory / "store"))
        self.processes.append(self.server)
        self.server.wait_for(r"Server is ready")

    def stop_server(self):
        self.server.stop(signal.SIGKILL)
        self.processes.remove(self.server)

    @property
    def page(self):
        return f"http://127.0.0.1:{self.page_port}/"

    def start(self, *arguments, environment=None):
        process = Process(self.program, *arguments, environment=environment, directory=self.directory)
        self.processes.append(process)
        return process

    def start_node(self, name):
        """Another node, with the tools of the manifest."""
        node = self.start("serve", "--node", name, "--nats", self.url, "--config", str(self.directory / "mesh.yaml"),
                          "--log-directory", str(self.directory / f"logs-{name}"))
        node.wait_for(r"is in the mesh of")
        return node

    def start_dashboard(self):
        environment = {"MESH_EVENTS_DASHBOARD_TOKEN": self.token} if self.token else None
        extra = os.environ.get("MESH_EVENTS_PAGE")
        self.dashboard = self.start(
            "dashboard", "--nats", self.url, "--listen", f"127.0.0.1:{self.page_port}",
            *self.dashboard_options, *(["--page-directory", extra] if extra else []),
            *(["--trust", self.trust] if self.trust else []), environment=environment)
        self.dashboard.wait_for(r"the dashboard is at")

    def restart_dashboard(self, trust=None):
        """Has it look at signatures from now on, by a trust list, or no longer."""
        self.stop_dashboard()
        self.trust = trust
        self.start_dashboard()

    def stop_dashboard(self, number=signal.SIGTERM):
        self.dashboard.stop(number)
        self.processes.remove(self.dashboard)

    def run(self, *arguments, text=None):
        done = subprocess.run(
            [self.program, *arguments, "--nats", self.url], input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def say(self, kind, data, node="tester"):
        """Emits one event as a node does that keeps nothing: without asking for a stream."""
        self.run("emit", kind, "--data", json.dumps(data), "--node", node)

    def emit(self, kind, data=None, node="tester"):
        """Emits one event, acknowledged."""
        self.emit_all([(kind, data or {}, node)])

    def emit_all(self, events):
        """Emits many: (type, data) or (type, data, node)."""
        lines = [json.dumps({"type": kind, "data": data, "node": node[0] if node else "tester"})
                 for kind, data, *node in events]
        self.run("emit", "--from", "-", text="\n".join(lines) + "\n")

    def delete_stream(self):
        """Deletes the stream with all it holds."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(b'CONNECT {"verbose":false}\r\nSUB deleted 1\r\n'
                               b'PUB $JS.API.STREAM.DELETE.MESH_EVENTS deleted 0\r\n\r\n')
            heard = b""
            while b'"success":true' not in heard:
                piece = connection.recv(4096)
                assert piece and b"-ERR" not in heard, heard
                heard += piece

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
