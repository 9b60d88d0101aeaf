#!/usr/bin/env python3
"""Does what the Dockerfile says without an engine: check-docker.py PROGRAM, as root on Debian.

Of the stage that builds it looks at the files that are copied and compares the command with `make release`; PROGRAM is what
that has built. The last stage is carried out step by step in a bare Debian 12 (debootstrap) in place of debian:12-slim, then
its program is run as its user, with its health check, in a network of its own.
"""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
program = sys.argv[1]
passed = 0


def check(condition, text):
    global passed
    if not condition:
        raise SystemExit(f"check-docker: not so: {text}")
    passed += 1
    print(f"check-docker: {text}", flush=True)


def run(*arguments, **options):
    outcome = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, **options)
    if outcome.returncode != 0:
        raise SystemExit(f"check-docker: {shlex.join(arguments)[:200]}: {outcome.stdout[-2000:]}{outcome.stderr[-2000:]}")
    return outcome.stdout


def stages():
    """The instructions of each stage."""
    text = "\n".join(line for line in open("Dockerfile", encoding="utf-8").read().split("\n") if not line.startswith("#"))
    found = []
    for line in re.sub(r"\\\n\s*", "", text).split("\n"):
        if not line.strip():
            continue
        word, rest = line.strip().split(None, 1)
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


build, last = stages()

# The stage that builds.
sources = [rest.split()[:-1] for word, rest in build if word == "COPY"]
sources = [source.rstrip("/").removeprefix("./") for copied in sources for source in copied]
check(all(os.path.exists(source) for source in sources), f"what is copied is there: {' '.join(sources)}")
manifest = open("Package.swift", encoding="utf-8").read()
paths = {path.split("/")[0] for path in re.findall(r'path: "([^"]+)"', manifest)} | {"Sources", "Tests", "Package.swift"}
check(paths <= set(sources), "the manifest needs nothing else")
ignored = [line.strip() for line in open(".dockerignore", encoding="utf-8") if line.strip()]
check(not any(source in glob.glob(pattern) for source in sources for pattern in ignored), "none of it is in .dockerignore")
flags = "swift build -c release --product mesh-events --static-swift-stdlib"
check([rest for word, rest in build if word == "RUN"][0].startswith(flags + " "), "it builds as `make release` does")
needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program))
check(not any(name.startswith(("libswift", "lib_", "libFoundation")) for name in needed), "the Swift runtime is in the program")

# The last stage, in a bare Debian.
check(dict(last)["FROM"] == "debian:12-slim", "it runs on Debian 12")
mirror = next(uri for uri in run("apt-get", "indextargets", "--format", "$(REPO_URI)").split("\n") if "security" not in uri)
root = tempfile.mkdtemp(prefix="mesh-events-docker.")
os.chmod(root, 0o755)
try:
    run("debootstrap", "--variant=minbase", "bookworm", root, mirror)
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
    check(True, "a bare Debian 12 is there")
    environment, directory, user, health, entry, command = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, "/", "root", None, [], []
    for word, rest in last:
        if word == "RUN":
            inside = shlex.join(["chroot", root, "/bin/sh", "-c", rest])
            run("unshare", "-m", "sh", "-c", f"mount -t proc proc {root}/proc && exec {inside}",
                env={**os.environ, **environment, "DEBIAN_FRONTEND": "noninteractive"})
            check(True, f"RUN {rest[:60]}...")
        elif word == "COPY":
            origin, target = rest.replace("--from=build", "").split()
            assert origin == "/out/mesh-events", origin
            shutil.copy(program, root + target)
        elif word == "ENV":
            environment.update(pair.split("=", 1) for pair in rest.split())
        elif word == "WORKDIR":
            directory = rest
            os.makedirs(root + rest, exist_ok=True)
        elif word == "USER":
            user = rest
        elif word == "HEALTHCHECK":
            health = json.loads(rest[rest.index("["):])
        elif word == "ENTRYPOINT":
            entry = json.loads(rest)
        elif word == "CMD":
            command = json.loads(rest)
        elif word not in ("FROM", "VOLUME", "EXPOSE", "STOPSIGNAL"):
            raise SystemExit(f"check-docker: knows nothing of {word}")
    check(user != "root", f"it runs as {user}")

    variables = [f"{name}={value}" for name, value in environment.items()]

    def inside(arguments):
        return shlex.join(["chroot", f"--userspec={user}:{user}", root, "env", "-i", "-C", directory, *variables, *arguments])

    event = ["user.checked", "where=container", "--ack"]
    script = f"""
        set -eu
        ip link set lo up
        mount -t proc proc {root}/proc
        mount --bind /dev {root}/dev
        {inside(entry + command)} >{root}/out 2>&1 &
        server=$!
        healthy=
        for attempt in $(seq 100); do
            if {inside(health)}; then healthy=1; break; fi
            kill -0 $server || break
            sleep 0.2
        done
        [ -n "$healthy" ] || {{ cat {root}/out; exit 1; }}
        echo healthy
        {inside(entry + ["emit", *event])}
        {inside(entry + ["list", "user.checked", "--json"])}
        kill -TERM $server
        wait $server
        echo ended
        ! {inside(health)} 2>/dev/null
        echo unhealthy
    """
    output = run("unshare", "-m", "-n", "bash", "-c", script, env=dict(os.environ))
    check("healthy\nstored in MESH_EVENTS at sequence" in output, "the health check takes it for healthy; it stores an event")
    check('"data":{"where":"container"}' in output, "it lists the event")
    check(output.endswith("ended\nunhealthy\n"), "it ends on SIGTERM with exit code 0; the health check fails then")
    check(os.listdir(root + "/var/lib/mesh-events") != [], "events are kept in /var/lib/mesh-events")
finally:
    shutil.rmtree(root, ignore_errors=True)
print(f"check-docker: {passed} passed, 0 failed")
