#!/usr/bin/env -S python3 -B
"""Lays out an OCI image without an engine, on Debian: `make oci`, .build/packages/mesh-events-oci.

Three layers: Debian's libraries with certificates and time zones, a few programs from Debian as well, and the program. There
is no package manager, and of a shell's programs only those with which a node guards its processes (ProcessGuard): sh, grep and
rm. Settings are those of the Dockerfile's last stage, the one place that has them. The Debian packages are those that apt
offers; their names and versions are in /var/lib/dpkg/status.d, where scanners look.
BUILD=debug is quicker; that image has the Swift runtime in it, and is for trying only.
"""
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import dockerfile
import packaging
from deb import depends, runtime_libraries
from packaging import HOMEPAGE, OUTPUT, RELEASE, SOURCE, fail, run, size

# From each package these, or all that is not left out; and its copyright.
TAKEN = {
    "base-files": r"usr/lib/os-release|usr/share/common-licenses/.*", "ca-certificates": r"usr/share/ca-certificates/.*",
    "tzdata": r"usr/share/zoneinfo/.*", "nats-server": r"usr/sbin/nats-server", "tini": r"usr/bin/tini",
    "dash": r"usr/bin/dash", "grep": r"usr/bin/grep", "coreutils": r"usr/bin/rm",
}
# The programs; grep's library is a package of its own.
PROGRAMS = ("nats-server", "tini", "dash", "grep", "coreutils")
LEFT_OUT = r"usr/share/(doc|man|lintian|locale|bug|gcc|gdb)/.*|usr/lib/[^/]+/(gconv|audit)/.*"
# Since Debian 12 these are links into /usr.
MERGED = ("bin", "lib", "lib64", "sbin")
LEVEL = 9 if RELEASE else 1


class Layer:
    """Files of an image, in the order of their names, whatever the order in which they came."""

    def __init__(self, seconds=0):
        # The base does not change with a commit, so its own files have no time.
        self.seconds = seconds
        self.members = {}

    def add(self, path, kind=tarfile.REGTYPE, content=b"", mode=0o644, link="", owner=0, seconds=None):
        member = tarfile.TarInfo(path)
        member.type, member.mode, member.linkname, member.size = kind, mode, link, len(content)
        member.uid = member.gid = owner
        member.mtime = self.seconds if seconds is None else seconds
        self.members[path] = (member, content)

    def folder(self, path, mode=0o755, owner=0):
        self.add(path, tarfile.DIRTYPE, mode=mode, owner=owner)

    def file(self, path, source, mode=0o644):
        self.add(path, content=Path(source).read_bytes(), mode=mode)

    def blob(self):
        """The layer as it is stored, and the digest of what is in it."""
        for path in list(self.members):
            for parent in Path(path).parents:
                if str(parent) != "." and str(parent) not in self.members:
                    self.folder(str(parent))
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.members):
                member, content = self.members[path]
                archive.addfile(member, io.BytesIO(content))
        return gzip.compress(plain.getvalue(), LEVEL, mtime=0), digest(plain.getvalue())


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def download(names, place):
    """Debian's packages, as apt finds and verifies them: their paths."""
    place.mkdir(parents=True, exist_ok=True)
    # Without it apt changes to a user of its own, who may not write here.
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", "-q", *names, cwd=place, timeout=600)
    found = {}
    for path in sorted(place.glob("*.deb")):
        name = path.name.partition("_")[0]
        offered = run("apt-cache", "show", "--no-all-versions", name)
        if run("dpkg-deb", "-f", path, "Version").strip() == re.search(r"^Version: (.*)$", offered, re.M)[1]:
            found[name] = path
    missing = set(names) - set(found)
    if missing:
        fail(f"apt brought no {', '.join(sorted(missing))}")
    return {name: found[name] for name in sorted(names)}


def unpack(layer, name, path):
    """Puts the files of a Debian package into a layer."""
    contents = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True, timeout=300).stdout
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        for member in archive:
            place = member.name.removeprefix("./").rstrip("/")
            if place.split("/")[0] in MERGED:
                place = "usr/" + place
            copyright_of = re.fullmatch(r"usr/share/doc/[^/]+(/copyright)?", place) and not member.isdir()
            wanted = re.fullmatch(TAKEN[name], place) if name in TAKEN else not re.fullmatch(LEFT_OUT, place)
            if member.isdir() or not (wanted or copyright_of):
                continue
            content, link = (archive.extractfile(member).read() if member.isreg() else b""), member.linkname
            if member.islnk():
                # A second name: the content of the first, which may have been left out.
                content, link = archive.extractfile(member).read(), ""
            layer.add(place, tarfile.SYMTYPE if member.issym() else tarfile.REGTYPE, content, member.mode, link,
                      seconds=int(member.mtime))
    # As in images without dpkg: a file for each package.
    layer.add(f"var/lib/dpkg/status.d/{name}", content=run("dpkg-deb", "-f", path).encode())


def base(packages, user, number, settings):
    layer = Layer()
    for name, path in packages.items():
        unpack(layer, name, path)
    for place in MERGED:
        layer.add(place, tarfile.SYMTYPE, link="usr/" + place, mode=0o777)
        layer.folder("usr/" + place)
    authorities = [content for path, (_, content) in sorted(layer.members.items())
                   if path.startswith("usr/share/ca-certificates/") and path.endswith(".crt")]
    # What update-ca-certificates writes.
    layer.add("etc/ssl/certs/ca-certificates.crt", content=b"".join(text.rstrip(b"\n") + b"\n" for text in authorities))
    home = next(iter(settings["Volumes"])).lstrip("/")
    layer.add("etc/os-release", tarfile.SYMTYPE, link="../usr/lib/os-release", mode=0o777)
    users = ["root:x:0:0:root:/root", f"{user}:x:{number}:{number}::/{home}", "nobody:x:65534:65534:nobody:/nonexistent"]
    layer.add("etc/passwd", content="".join(f"{line}:/usr/sbin/nologin\n" for line in users).encode())
    layer.add("etc/group", content=f"root:x:0:\n{user}:x:{number}:\nnogroup:x:65534:\n".encode())
    layer.add("etc/nsswitch.conf", content=b"passwd: files\ngroup: files\nhosts: files dns\n")
    layer.add("etc/localtime", tarfile.SYMTYPE, link="/usr/share/zoneinfo/Etc/UTC", mode=0o777)
    for place in ("dev", "proc", "sys", "run", "root", settings["WorkingDir"].lstrip("/")):
        layer.folder(place, 0o700 if place == "root" else 0o755)
    for place in ("tmp", "var/tmp"):
        layer.folder(place, 0o1777)
    layer.folder(home, 0o700, number)
    return layer


def layers(program, slim, settings, target, user):
    """The layers, each with what it is."""
    number = int(settings["User"].split(":")[0])
    libraries = [re.match(r"\S+", part)[0] for part in depends(slim).split(", ")]
    # It has the copyright of libgcc-s1 and libstdc++6.
    gcc = re.search(r"gcc-\d+-base", run("apt-cache", "show", "--no-all-versions", "libgcc-s1"))[0]
    packages = download([*libraries, gcc, "base-files", "ca-certificates", "tzdata", "libpcre2-8-0", *PROGRAMS],
                        OUTPUT / "debian")
    tools = Layer()
    for name in PROGRAMS:
        unpack(tools, name, packages.pop(name))
    tools.add("usr/bin/sh", tarfile.SYMTYPE, link="dash", mode=0o777)
    own = Layer(packaging.epoch())
    own.file(target.lstrip("/"), slim, 0o755)
    with tempfile.TemporaryDirectory() as work:
        packaging.put_notices(program, Path(work) / "doc")
        for path in (Path(work) / "doc").iterdir():
            own.file(f"usr/share/doc/mesh-events/{path.name}", path)
    if not RELEASE:
        folder = run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip()
        for library in runtime_libraries(program):
            own.file(f"usr/lib/{folder}/{Path(library).name}", library)
    return [("Debian's libraries, certificates and time zones: " + ", ".join(packages), base(packages, user, number, settings)),
            ("Debian's programs: " + ", ".join(PROGRAMS), tools), ("mesh-events", own)]


class Layout:
    """The directory of an image: blobs by their digests."""

    def __init__(self, place):
        self.place = place
        (place / "blobs/sha256").mkdir(parents=True)

    def put(self, content, kind, **more):
        (self.place / "blobs/sha256" / digest(content).partition(":")[2]).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(content), "size": len(content), **more}

    def document(self, value, kind, **more):
        return self.put(text(value), kind, **more)


def text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def build(target):
    """Lays out the image in a directory, which is made anew, and returns the sizes on the way."""
    began = time.monotonic()
    program = packaging.built()
    settings, place_of_program, user = dockerfile.settings()
    # Names of images have no tilde.
    version = packaging.snapshot(program).replace("~", "-")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(packaging.epoch()))
    architecture = run("dpkg", "--print-architecture").strip()
    labels = {
        "title": "mesh-events", "description": "A node of the mesh with a nats-server of its own", "version": version,
        "revision": packaging.git("rev-parse", "HEAD"), "created": created, "source": HOMEPAGE, "url": HOMEPAGE,
    }
    labels = {f"org.opencontainers.image.{name}": value for name, value in labels.items() if value}
    # Cleared only when it is an image, whatever name the caller gave.
    if target.exists():
        if not (target / "oci-layout").exists():
            fail(f"{target} is there, and is no image")
        shutil.rmtree(target)
    layout = Layout(target)
    with tempfile.TemporaryDirectory(prefix="mesh-events-oci.") as work:
        slim = packaging.staged(program, Path(work) / "root")
        parts = layers(program, slim, settings, place_of_program, user)
        slim_size = size(slim)
    stored, contents, history, rows = [], [], [], {"built": size(program), "in the image": slim_size}
    for what, layer in parts:
        blob, content = layer.blob()
        stored.append(layout.put(blob, "layer.v1.tar+gzip"))
        contents.append(content)
        history.append({"created": created, "created_by": "Scripts/oci.py", "comment": what})
        rows[f"layer: {what}"] = size(len(blob))
    variant = {"variant": "v8"} if architecture == "arm64" else {}
    config = layout.document({
        "created": created, "author": "The MeshEvents authors", "architecture": architecture, "os": "linux", **variant,
        "config": {**settings, "Labels": labels}, "rootfs": {"type": "layers", "diff_ids": contents}, "history": history,
    }, "config.v1+json")
    manifest = layout.document({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": stored,
        "annotations": labels,
    }, "manifest.v1+json", platform={"architecture": architecture, "os": "linux", **variant},
        annotations={"org.opencontainers.image.ref.name": version})
    (target / "index.json").write_bytes(text({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest],
    }))
    (target / "oci-layout").write_bytes(text({"imageLayoutVersion": "1.0.0"}))
    rows["image"] = size(sum(one["size"] for one in stored))
    return rows, time.monotonic() - began


def main():
    if not shutil.which("dpkg-shlibdeps"):
        fail("dpkg-shlibdeps is missing: apt-get install dpkg-dev")
    target = OUTPUT / "mesh-events-oci"
    rows, seconds = build(target)
    print(f"oci: {target.relative_to(SOURCE)}, {seconds:.0f} s")
    for name, row in rows.items():
        print(f"oci: | {name} | {row} |")


if __name__ == "__main__":
    main()
