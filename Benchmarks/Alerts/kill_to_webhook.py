"""How long it takes from the `kill -9` of a tool until a webhook has the bytes of the alert.

    python3 Benchmarks/Alerts/kill_to_webhook.py .build/release/mesh-events [KILLS]

A node (`mesh-events serve`, with a server of its own) supervises a hundred tools and watches by one rule; each kill is of
another tool, one after the other. The end is when the receiver, in this process, has read the whole request.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOOLS = 100
LONGEST = 5.0


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        now = time.monotonic()
        for alert in json.loads(body)["data"]["alerts"]:
            if alert["status"] == "firing":
                self.seen.setdefault((alert["group"]["tool"], alert["id"]), now)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def manifest(port):
    tools = "".join(
        f'  - {{name: t{n}, version: "1.0.0", command: [sleep, "{10_000 + n}"], restart: always}}\n' for n in range(TOOLS))
    return (
        f'node: pi\nnotify: {{hook: {{webhook: "http://127.0.0.1:{port}/", window: 0s, limit: 100000}}}}\n'
        f"alerts: [{{name: down, when: tool.crashed, resolve: tool.started, to: hook}}]\ntools:\n{tools}")


def wait(what, condition, within=120.0):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


def measure(program, kills):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "mesh.yaml")
        log = os.path.join(directory, "log")
        with open(path, "w") as file:
            file.write(manifest(server.server_port))
        with open(log, "w") as said:
            node = subprocess.Popen(
                [os.path.abspath(program), "serve", "--port", "0", "--config", path], cwd=directory,
                stdout=subprocess.DEVNULL, stderr=said, env={"PATH": os.environ["PATH"], "HOME": directory})
        try:
            def text():
                with open(log) as file:
                    return file.read()

            wait("the tools", lambda: text().count(": tool started (pid=") >= TOOLS and "watches the mesh" in text())
            time.sleep(2)
            times, late = [], 0
            for kill in range(kills):
                tool = f"t{kill % TOOLS}"
                wait(f"{tool} to run", lambda: text().count(f" {tool}: tool started") > kill // TOOLS)
                pid = int(re.findall(rf" {tool}: tool started \(pid=(\d+)\)", text())[-1])
                before = {key for key in Receiver.seen if key[0] == tool}
                begun = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                while time.monotonic() < begun + LONGEST:
                    new = [at for key, at in Receiver.seen.copy().items() if key[0] == tool and key not in before]
                    if new:
                        times.append(new[0] - begun)
                        break
                    time.sleep(0.001)
                else:
                    late += 1
                time.sleep(0.05)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(30)
    return sorted(times), late


def main():
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    times, late = measure(sys.argv[1], kills)

    def percentile(share):
        return times[min(len(times) - 1, int(len(times) * share))] * 1e3

    print(f"{kills} kills, {late} not told within {LONGEST:.0f} s; from the kill to the bytes of the webhook: "
          f"p50 {percentile(0.5):.1f} ms, p99 {percentile(0.99):.1f} ms, longest {times[-1] * 1e3:.1f} ms")
    sys.exit(1 if late or percentile(0.99) > 1_000 else 0)


main()
