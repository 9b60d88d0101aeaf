"""What an event costs a process that watches by many rules, none of which is about it.

    python3 Benchmarks/Alerts/rules.py .build/release/mesh-events [SECONDS]

A thousand events a second pass for so many seconds (30); the cost is the processor time of `mesh-events alert run`, an event.
MESH_EVENTS_NATS_SERVER names the server; otherwise it is the first `nats-server` in PATH.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

RATE = 1_000
RULES = [10, 1_000, 10_000]
TICKS = os.sysconf("SC_CLK_TCK")
# How much more an event may cost with the most rules than with the fewest.
LONGEST = 1.25


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_for(what, path, text, within=120.0):
    end = time.monotonic() + within
    while text not in open(path).read():
        assert time.monotonic() < end, f"waited in vain for {what}: {open(path).read()[-2000:]}"
        time.sleep(0.1)


def feed(pipe, seconds):
    """A thousand events a second, a tenth of them at once."""
    begun = time.monotonic()
    line = json.dumps({"type": "user.other", "data": {"tool": "whisper", "value": 17, "text": "x" * 100}}) + "\n"
    for part in range(int(seconds * 10)):
        pipe.write(line * (RATE // 10))
        pipe.flush()
        time.sleep(max(0, begun + (part + 1) / 10 - time.monotonic()))
    return int(seconds * 10) * (RATE // 10)


def measure(program, rules, seconds):
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        url = f"nats://127.0.0.1:{port}"
        environment = {"PATH": os.environ["PATH"], "HOME": directory}
        server = subprocess.Popen(
            [os.environ.get("MESH_EVENTS_NATS_SERVER", "nats-server"), "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", directory],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes = [server]
        try:
            path, log = os.path.join(directory, "alerts.yaml"), os.path.join(directory, "log")
            with open(path, "w") as file:
                file.write("alerts:\n" + "".join(
                    f"  - {{name: r{n}, when: user.rule{n}, where: {{value: '> {n}'}}}}\n" for n in range(rules)))
            for _ in range(100):
                if subprocess.run([program, "stream", "create", "--nats", url], env=environment, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            with open(log, "w") as said:
                watching = subprocess.Popen(
                    [program, "alert", "run", "--config", path, "--nats", url, "--node", "lab"], env=environment,
                    stdout=said, stderr=said)
            processes.append(watching)
            wait_for("the process that watches", log, "watches")
            emitting = subprocess.Popen(
                [program, "emit", "--from", "-", "--nats", url, "--node", "pi"], env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            processes.append(emitting)
            feed(emitting.stdin, 3)
            before = processor_time(watching.pid)
            events = feed(emitting.stdin, seconds)
            time.sleep(1)
            return (processor_time(watching.pid) - before) / events
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def main():
    program = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    costs = [measure(program, rules, seconds) for rules in RULES]
    for rules, cost in zip(RULES, costs):
        print(f"{rules:6} rules, {RATE} events a second: {cost * 1e6:.1f} µs of processor time an event, {cost / costs[0]:.2f}")
    sys.exit(1 if costs[-1] > costs[0] * LONGEST else 0)


main()
