"""The stages of the Dockerfile, for check-docker.py, which carries out the last one, and oci.py, which takes its settings."""
import json
import re
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "Dockerfile"


def stages():
    """The instructions of each stage: pairs of a word and the rest."""
    text = "\n".join(line for line in PLACE.read_text(encoding="utf-8").split("\n") if not line.startswith("#"))
    found = []
    for line in re.sub(r"\\\n\s*", "", text).split("\n"):
        if not line.strip():
            continue
        word, rest = line.strip().split(None, 1)
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def settings():
    """What the last stage says of a container, in the words of an image's configuration, and where it has the program."""
    last = stages()[-1]
    found, said = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}, dict(last)
    for word, rest in last:
        if word == "ENV":
            found["Env"] += rest.split()
    # A number, since a cluster that forbids root cannot tell by a name.
    number = re.search(r"--uid (\d+)", " ".join(rest for word, rest in last if word == "RUN"))[1]
    found |= {
        "User": f"{number}:{number}", "WorkingDir": said["WORKDIR"], "StopSignal": said["STOPSIGNAL"],
        "Volumes": {path: {} for path in said["VOLUME"].split()},
        "ExposedPorts": {f"{port}/tcp": {} for port in said["EXPOSE"].split()},
        "Entrypoint": json.loads(said["ENTRYPOINT"]), "Cmd": json.loads(said["CMD"]),
    }
    return found, said["COPY"].split()[-1], said["USER"]
