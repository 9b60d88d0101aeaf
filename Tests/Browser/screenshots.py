"""Takes the pictures of the dashboard in docs/images: a mesh of a few nodes lives for some minutes, then is looked at."""
import json
import os
import random
import subprocess
import time

from browser import Browser
from mesh import ROOT, Mesh

SECONDS = int(os.environ.get("SECONDS_OF_LIFE", "280"))
IMAGES = ROOT / "docs" / "images"
NODES = {"atelier": 31_900, "attic": 7_800, "pi-kitchen": 3_800, "render-1": 128_600}
# How busy this machine is would be in the picture, too: it says so only once.
MANIFEST = """
health: {interval: 10m}
tools:
  - name: whisper
    version: "1.4.0"
    command: [sleep, "3600"]
"""


def life():
    """The events of one second of a mesh."""
    random.seed(7)
    load = {node: 0.2 + 0.1 * index for index, node in enumerate(NODES)}
    tools = {"attic": ["indexer"], "pi-kitchen": ["sensor", "display"], "render-1": ["blender", "upscaler"]}
    yield [event("node.joined", {"capabilities": {"version": "mesh-events 0.1.0"}}, node) for node in tools]
    yield [event("tool.installed", {"tool": tool, "version": f"{1 + len(tool) % 3}.{len(tool)}.0"}, node)
           for node, names in tools.items() for tool in names]
    yield [event("tool.started", {"tool": tool}, node) for node, names in tools.items() for tool in names]
    second = 0
    while True:
        second += 1
        events = []
        if second % 5 == 0:
            for node in NODES:
                load[node] = min(0.97, max(0.03, load[node] + random.uniform(-0.14, 0.14)))
                total = NODES[node]
                resources = {"cpu": round(load[node], 3), "mem_used_mb": int(total * (0.3 + load[node] / 3)),
                             "mem_total_mb": total, "disk_free_mb": total * 9, "interval_s": 5}
                status = "online"
                if node == "pi-kitchen" and second > 200:
                    status, resources["checks"] = "degraded", {"disk": "412 MB free, wanted 512 MB"}
                events.append(event("node.health", {"status": status, "resources": resources}, node))
        for _ in range(random.choice([0, 0, 1, 1, 2, 3] if second % 90 < 60 else [2, 3, 5, 6])):
            frame = second * 10 + random.randrange(10)
            events.append(random.choice([
                event("user.render.frame", {"scene": "harbour", "frame": frame, "ms": random.randrange(300, 1900)}, "render-1"),
                event("user.transcript.done", {"file": f"meeting-{second}.wav", "words": random.randrange(90, 4000)}, "atelier"),
                event("user.index.batch", {"documents": random.randrange(10, 400), "failed": 0}, "attic"),
                event("user.sensor.reading", {"room": "kitchen", "celsius": round(random.uniform(18, 23), 1)}, "pi-kitchen"),
            ]))
        if second in (70, 158, 232):
            events.append(event("tool.crashed", {"tool": "upscaler", "error": "signal 9 (SIGKILL): out of memory",
                                                 "restart_count": 1 + second // 100}, "render-1"))
        if second in (73, 161):
            events.append(event("tool.started", {"tool": "upscaler"}, "render-1"))
        if second == 120:
            events.append(event("node.left", {"reason": "shutdown"}, "attic"))
        if second == 150:
            events.append(event("node.joined", {"capabilities": {"version": "mesh-events 0.1.0"}}, "attic"))
            events.append(event("tool.started", {"tool": "indexer"}, "attic"))
        yield events


def event(kind, data, node):
    return json.dumps({"type": kind, "node": node, "data": data})


def main():
    IMAGES.mkdir(parents=True, exist_ok=True)
    mesh = Mesh(manifest=MANIFEST)
    browser = Browser()
    try:
        emitting = subprocess.Popen([mesh.program, "emit", "--from", "-", "--nats", mesh.url], stdin=subprocess.PIPE,
                                    text=True, stderr=subprocess.DEVNULL)
        for second, events in enumerate(life()):
            for line in events:
                emitting.stdin.write(line + "\n")
                emitting.stdin.flush()
                time.sleep(1 / len(events))
            if second == SECONDS:
                break
            if not events:
                time.sleep(1)
        for name, scheme, width, height in [("light", "light", 1440, 900), ("dark", "dark", 1440, 900),
                                            ("phone", "light", 390, 844)]:
            options = {"device_scale_factor": 2, "is_mobile": True, "has_touch": True} if name == "phone" else {}
            page = browser.open(mesh.page + "?range=5m", width, height, color_scheme=scheme, **options)
            page.wait_until_live()
            page.page.wait_for_selector(".row:not([hidden])")
            page.page.wait_for_selector("#legend button")
            if name == "dark":
                page.page.locator(".row[data-type='tool.crashed'], .row[data-type^='user.render']").first.click()
                page.page.wait_for_selector("#detail pre .key")
            page.page.wait_for_timeout(600)
            if name == "phone":
                page.evaluate("() => document.querySelector('#events').scrollIntoView()")
            page.page.screenshot(path=IMAGES / f"dashboard-{name}.png")
            size = (IMAGES / f"dashboard-{name}.png").stat().st_size
            assert size < 300_000, f"the picture {name} has {size} bytes"
            page.close()
        emitting.stdin.close()
        emitting.wait(10)
    finally:
        browser.close()
        mesh.close()


if __name__ == "__main__":
    main()
