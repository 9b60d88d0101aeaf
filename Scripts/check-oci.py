#!/usr/bin/env -S python3 -B
"""Tries the OCI image: lays it out twice, reads it by the rules and with skopeo and umoci, and runs its entry point as process 1
of a process namespace in its files, as its user, in a network of its own.

`make check-oci`, as root on Debian; BUILD=debug is quicker.
"""
import filecmp
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import stat
import sys
import tarfile
import tempfile
from pathlib import Path

import dockerfile
import oci
import packaging
from bare_debian import Checks

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
checks = Checks("check-oci")
check, run = checks.check, checks.run
TOOLS = Path(".tools/oci/usr").resolve()
# A tool of the node without a shell: the program itself. It ends well, so it is not started again.
MANIFEST = """tools:
  - name: plain
    command: [/usr/local/bin/mesh-events, emit, user.checked, where=image, --ack]
"""
# The page, asked from outside the image's files, in its network.
ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=5).status)"


def builds_twice(work):
    first, second = Path(work) / "one", Path(work) / "two"
    rows, _ = oci.build(first)
    # In surroundings that it must not depend on.
    (Path(work) / "tmp").mkdir()
    script = "import sys, pathlib, oci; oci.build(pathlib.Path(sys.argv[1]))"
    run(sys.executable, "-B", "-c", script, second, timeout=1800, umask=0o077, env={
        **os.environ, "PYTHONPATH": "Scripts", "TMPDIR": f"{work}/tmp", "TZ": "Pacific/Auckland", "LC_ALL": "C",
        "PYTHONHASHSEED": "7"})
    names = [sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()) for place in (first, second)]
    check(names[0] == names[1] and all(filecmp.cmp(first / name, second / name, shallow=False) for name in names[0]),
          "two layouts of one program are equal, byte for byte: another directory, time zone, locale and umask")
    for name, row in rows.items():
        print(f"check-oci: | {name} | {row} |")
    return first


def blob(image, descriptor):
    content = (image / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != descriptor["digest"].partition(":")[2] or len(content) != descriptor["size"]:
        raise SystemExit(f"check-oci: not so: a blob is what its descriptor says: {descriptor}")
    return content


def follows_the_rules(image):
    """What the specification asks for; returns the configuration and the layers as tar archives."""
    assert json.loads((image / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((image / "index.json").read_text())
    manifest = json.loads(blob(image, index["manifests"][0]))
    config = json.loads(blob(image, manifest["config"]))
    layers = [gzip.decompress(blob(image, layer)) for layer in manifest["layers"]]
    diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    check(config["rootfs"] == {"type": "layers", "diff_ids": diff_ids} and len(config["history"]) == len(layers),
          "digests and sizes of all blobs, and the digests of what is in the layers, are right")
    named = {one["digest"].partition(":")[2] for one in [*index["manifests"], manifest["config"], *manifest["layers"]]}
    check({path.name for path in (image / "blobs/sha256").iterdir()} == named, "there is no other blob")
    settings, _, _ = dockerfile.settings()
    check({name: config["config"][name] for name in settings} == settings,
          f"its settings are those of the Dockerfile: user {settings['User']}, {' '.join(settings['Entrypoint'])}")
    check(not re.match(r"0\b|root", config["config"]["User"]), "it does not run as root")
    labels = config["config"]["Labels"]
    number = packaging.version(packaging.built())
    check(labels["org.opencontainers.image.version"].startswith(number) and manifest["annotations"] == labels,
          "its labels say which version it is", labels)
    return config, layers


def unpack(layers, root):
    root.mkdir(mode=0o755)
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                # As an engine would refuse it: a place outside, or one that a link leads to.
                assert not member.name.startswith("/") and ".." not in Path(member.name).parts and not member.isdev(), member.name
                parent = (root / member.name).parent
                assert parent.resolve() == root.resolve() / Path(member.name).parent, member.name
            trust = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(root, numeric_owner=True, **trust)
    check(True, "its layers unpack within one directory")


def tree(root):
    """Each file's kind, mode and owner, its time and content or its target."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        what = None
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_file():
            # Of links and directories it depends on who unpacks.
            what = int(status.st_mtime), hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, what)
    return found


def others_read_it(image, root, work):
    folder = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{TOOLS}/lib/{folder}:{TOOLS.parent}/lib/{folder}"}
    found = json.loads(run(TOOLS / "bin/skopeo", "inspect", f"oci:{image}", env=environment))
    check(found["Os"] == "linux" and found["Architecture"] == run("dpkg", "--print-architecture").strip()
          and len(found["Layers"]) == 3, "skopeo reads it")
    tag = found["Labels"]["org.opencontainers.image.version"]
    run(TOOLS / "bin/skopeo", "--insecure-policy", "copy", f"oci:{image}", f"docker-archive:{work}/image.tar:mesh-events:{tag}",
        env=environment)
    check(os.path.getsize(f"{work}/image.tar") > 0, "and makes an archive for `docker load` of it")
    bundle = f"{work}/bundle"
    run(TOOLS / "bin/umoci", "unpack", "--image", f"{image}:{tag}", bundle)
    theirs, ours = tree(Path(bundle) / "rootfs"), tree(root)
    different = [path for path in set(theirs) | set(ours) if theirs.get(path) != ours.get(path)]
    check(not different, f"umoci unpacks the same {len(ours)} files",
          [(path, theirs.get(path), ours.get(path)) for path in different[:5]])
    process = json.loads(Path(bundle, "config.json").read_text())["process"]
    settings, _, _ = dockerfile.settings()
    understood = f"{process['user']['uid']}:{process['user']['gid']}", process["cwd"], process["args"]
    check(understood == (settings["User"], settings["WorkingDir"], settings["Entrypoint"] + settings["Cmd"]),
          "and understands its settings so, too", process)


def has_what_it_needs(root, config):
    number = int(config["config"]["User"].split(":")[0])
    home = root / next(iter(config["config"]["Volumes"])).lstrip("/")
    check(home.stat().st_uid == number and stat.S_IMODE(home.stat().st_mode) == 0o700, "the volume's directory is the user's alone")
    authorities = (root / "etc/ssl/certs/ca-certificates.crt").read_text().count("-----BEGIN CERTIFICATE-----")
    files = len(list((root / "usr/share/ca-certificates").rglob("*.crt")))
    check(authorities == files > 50, f"it trusts {authorities} authorities")
    check((root / "usr/share/zoneinfo/Europe/Zurich").exists() and (root / "etc/os-release").exists(), "it knows time zones")
    programs = [path for place in ("usr/bin", "usr/sbin", "usr/local/bin") for path in sorted((root / place).glob("*"))]
    check({path.name for path in programs} == {"mesh-events", "nats-server", "tini", "dash", "sh", "grep", "rm"},
          f"its programs are {', '.join(path.name for path in programs)}", programs)
    needed = {name for path in [*programs, *(root / "usr/lib").glob("*/*.so*")]
              for name in re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", path))}
    absent = [name for name in needed if not [*(root / "usr/lib").glob(f"*/{name}"), *(root / "usr/lib64").glob(name)]]
    check(not absent, f"all {len(needed)} libraries that they need are in it", absent)
    owners = {path.lstat().st_uid for path in root.rglob("*")}
    writable = [path for path in root.rglob("*") if not path.is_symlink() and path.lstat().st_mode & 0o022
                and path.relative_to(root) not in (Path("tmp"), Path("var/tmp"))]
    check(owners == {0, number} and not writable, "nothing else can be written by others than root", writable)
    missing = [path.parent.name for path in (root / "usr/share/doc").rglob("*") if path.is_symlink() and not path.exists()]
    named = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    undocumented = [name for name in named if not (root / "usr/share/doc" / name / "copyright").exists()]
    check(not missing and not undocumented, f"each of its {len(named)} Debian packages has its copyright", missing + undocumented)


def runs(root, config):
    settings = config["config"]
    (root / settings["WorkingDir"].lstrip("/") / "mesh.yaml").write_text(MANIFEST)
    user, group = settings["User"].split(":")

    def inside(arguments, *namespaces):
        return shlex.join(["env", "-i", *settings["Env"], "/usr/bin/unshare", *namespaces, f"--root={root}",
                           f"--wd={settings['WorkingDir']}", "--setuid", user, "--setgid", group, "--", *arguments])

    entry = settings["Entrypoint"]
    namespaces = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
    script = f"""
        set -eu
        ip link set lo up
        mount -t proc proc {root}/proc
        mount --bind /dev {root}/dev
        {inside(entry + settings['Cmd'], *namespaces)} >{root}/out 2>&1 &
        server=$!
        healthy=
        for attempt in $(seq 150); do
            if {shlex.join([sys.executable, '-c', ASK])} 2>/dev/null; then healthy=1; break; fi
            kill -0 $server || break
            sleep 0.2
        done
        [ -n "$healthy" ] || {{ cat {root}/out; exit 1; }}
        first=$(cat /proc/$server/task/$server/children)
        grep -h -e ^NSpid -e ^Uid "/proc/${{first% }}/status"
        {inside(entry + ['emit', 'user.asked', 'from=outside', '--ack'])}
        for attempt in $(seq 150); do
            {inside(entry + ['list', 'user.*', '--json'])} >{root}/listed
            if [ "$(wc -l <{root}/listed)" -ge 2 ]; then break; fi
            sleep 0.2
        done
        cat {root}/listed
        kill -{settings['StopSignal'].removeprefix('SIG')} ${{first% }}
        code=0
        wait $server || code=$?
        echo "ended $code"
    """
    # A machine that is slow gets the time it needs; unshare is given up at last.
    output = run("unshare", "-m", "-n", "bash", "-c", script, timeout=300)
    check(output.startswith("200\n"), "the page answers")
    check(re.search(r"^NSpid:.*\t1$", output, re.M) and re.search(rf"^Uid:\t{user}\t{user}", output, re.M),
          "process 1 is the entry point's, as the image's user", output)
    check('"data":{"from":"outside"}' in output and '"data":{"where":"image"}' in output,
          "it stores events, and a tool of the manifest emits one", output)
    check(output.endswith("ended 0\n"), f"it ends on {settings['StopSignal']} with exit code 0", output)
    kept = os.listdir(root / next(iter(settings["Volumes"])).lstrip("/"))
    check("4222" in kept, "events are kept in the volume", kept)


def main():
    if os.geteuid() != 0:
        raise SystemExit("check-oci: needs root, for the owners of files and for what it runs in there")
    with tempfile.TemporaryDirectory(prefix="mesh-events-check-oci.") as work:
        os.chmod(work, 0o755)
        image = builds_twice(work)
        config, layers = follows_the_rules(image)
        root = Path(work) / "root"
        unpack(layers, root)
        others_read_it(image, root, work)
        has_what_it_needs(root, config)
        runs(root, config)
    checks.done()


if __name__ == "__main__":
    main()
