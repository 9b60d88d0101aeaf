#!/usr/bin/env -S python3 -B
"""Does what the Dockerfile says without an engine: check-docker.py PROGRAM, as root on Debian.

Of the stage that builds it looks at the files that are copied and compares the command with `make release`; PROGRAM is what
that has built, or a debug build, which gets its libraries as well. The last stage is carried out step by step in a bare Debian
12 (debootstrap) in place of debian:12-slim, then its program is run as its user, with its health check, in a network of its
own; and once more in a process namespace of its own, in which the entry point is process 1.
"""
import glob
import json
import os
import re
import shlex
import shutil
import sys

from bare_debian import Checks, remove
from dockerfile import stages

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
program = sys.argv[1]
is_release = (os.environ.get("BUILD") or "release") == "release"
checks = Checks("check-docker")
check, run = checks.check, checks.run

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
if is_release:
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program))
    check(not any(name.startswith(("libswift", "lib_", "libFoundation")) for name in needed), "the Swift runtime is in the program")

# The last stage, in a bare Debian.
check(dict(last)["FROM"] == "debian:12-slim", "it runs on Debian 12")
root = checks.bare_debian()
try:
    shutil.copy("/etc/resolv.conf", root + "/etc/resolv.conf")
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
            checks.bring_runtime(program, root)
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

    # The entry point as process 1.
    shutil.rmtree(root + "/var/lib/mesh-events")
    run("chroot", root, "install", "-d", "-o", user, "-g", user, "-m", "700", "/var/lib/mesh-events")
    shutil.copy("Scripts/unit/container.yaml", root + directory + "/mesh.yaml")
    process_one = (f"mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && "
                   f"exec {inside(entry + ['serve'])} >{root}/out 2>&1")
    namespace = shlex.join(["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c", process_one])
    script = f"""
        set -eu
        ip link set lo up
        run() {{
            {namespace} &
            server=$!
            for attempt in $(seq 300); do
                first=$(cat /proc/$server/task/$server/children)
                if [ -n "$first" ] && [ -e {root}/var/lib/mesh-events/left ]; then return; fi
                kill -0 $server || break
                sleep 0.1
            done
            cat {root}/out
            exit 1
        }}
        ended() {{ # NAME: its exit code, and the tools that are there still
            code=0
            for attempt in $(seq 300); do
                kill -0 $server 2>/dev/null || break
                sleep 0.1
            done
            # With it all of the namespace.
            if kill -KILL $server 2>/dev/null; then echo "$1: it has not ended" >&2; fi
            wait $server || code=$?
            echo "$1 $code $(pgrep -cfx '(\\S*/)?sleep 71[0-9][0-9]')"
        }}
        run
        tr '\\0' ' ' <"/proc/${{first% }}/cmdline"
        echo
        grep -h ^NSpid "/proc/${{first% }}/status"
        cat {root}/var/lib/mesh-events/left
        echo "tools $(pgrep -cfx '(\\S*/)?sleep 71[0-9][0-9]')"
        began=$(date +%s)
        kill -TERM $first
        ended term
        echo "took $(($(date +%s) - began))"
        cat {root}/var/lib/mesh-events/asked
        rm {root}/var/lib/mesh-events/left
        run
        kill -KILL $(cat "/proc/${{first% }}/task/${{first% }}/children")
        ended kill
    """
    output = run("unshare", "-n", "bash", "-c", script)
    said = dict(line.split(None, 1) for line in output.splitlines())
    check(said.get(entry[0], "").startswith("-- ") and said["NSpid:"].split()[-1] == "1", "process 1 is the entry point's", output)
    left, dead = said["left"].split()
    check(int(left) >= 50 and int(dead) < 10, f"of {left} processes that a tool left behind, all are waited for but {dead}", output)
    check(said["tools"] == "5", "tools run, daemons too", output)
    check(said["term"] == "0 0" and 2 <= int(said["took"]) < 15 and said["asked"] == "yes",
          f"SIGTERM ends it with code 0 and all tools within their grace: {said['took']} s", output)
    check(said["kill"] == "137 0", "when the node is killed, its code is 137 and no tool is left", output)
finally:
    remove(root)
checks.done()
