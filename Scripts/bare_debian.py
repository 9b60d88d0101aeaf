"""A bare Debian 12 in a directory of its own, for check-docker.py, check-unit.py and check-deb.py, which run what is installed."""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile


class Checks:
    """Counts what holds, and ends the program at the first thing that does not."""

    def __init__(self, name):
        self.name = name
        self.passed = 0

    def check(self, condition, text, details=""):
        if not condition:
            raise SystemExit(f"{self.name}: not so: {text}" + (f"\n{details}" if details else ""))
        self.passed += 1
        print(f"{self.name}: {text}", flush=True)

    def run(self, *arguments, **options):
        """The output of a command that has to succeed."""
        options = {"stdin": subprocess.DEVNULL, "timeout": 600, **options}
        outcome = subprocess.run(arguments, capture_output=True, text=True, **options)
        if outcome.returncode != 0:
            raise SystemExit(
                f"{self.name}: {shlex.join(arguments)[:200]}: {outcome.stdout[-2000:]}{outcome.stderr[-2000:]}"
            )
        return outcome.stdout

    def bare_debian(self, *packages):
        """The directory of a new system with these packages; `remove` ends it."""
        if os.geteuid() != 0:
            raise SystemExit(f"{self.name}: needs root, for debootstrap and for what it runs in there")
        uris = self.run("apt-get", "indextargets", "--format", "$(REPO_URI)").split("\n")
        mirror = next(uri for uri in uris if "security" not in uri)
        root = tempfile.mkdtemp(prefix=f"mesh-events-{self.name}.")
        os.chmod(root, 0o755)
        included = [f"--include={','.join(packages)}"] if packages else []
        try:
            self.run("debootstrap", "--variant=minbase", *included, "bookworm", root, mirror)
        except BaseException:
            remove(root)
            raise
        self.check(True, "a bare Debian 12 is there")
        return root

    def bring_runtime(self, program, root):
        """The libraries of the Swift toolchain that a debug build needs; a release build has them in itself."""
        listed = self.run("ldd", program)
        libraries = [path for path in re.findall(r"=> (/\S+)", listed) if not re.match(r"/(usr/)?lib(64)?/", path)]
        for library in libraries:
            shutil.copy(library, root + "/usr/local/lib")
        self.run("chroot", root, "ldconfig")

    def done(self):
        print(f"{self.name}: {self.passed} passed, 0 failed")
        sys.exit(0)


def remove(root):
    shutil.rmtree(root, ignore_errors=True)
