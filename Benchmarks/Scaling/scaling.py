#!/usr/bin/env python3
"""Runs `mesh-bench scaling` and writes what it measured to results/: scaling.json, scaling.csv, scaling.md, and a plot
(SVG) for each curve.

    scaling.py MESH_BENCH [OPTIONS OF mesh-bench]
    scaling.py --again          only writes table and plots again, from scaling.json
"""

import csv
import json
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

try:
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "mesh-events"
    import matplotlib.pyplot as plot
except ImportError:
    plot = None

RESULTS = Path(__file__).resolve().parent.parent / "results"
CURVES = {
    "payload": ("Payload", "bytes on the wire", "ns an event"),
    "subscribers": ("Subscribers in one process", "subscriptions", "ns a delivery"),
    "emitters": ("Emitters on one bus", "threads", "ns an event, all threads together"),
    "stream": ("Length of the stream", "events stored", "µs a query"),
    "nodes": ("Nodes in the state of the mesh", "nodes", "ns of processor time an event"),
    "keeper": ("Keeper of the state of the mesh: nodes with 30 tools each, which emit each 10 s", "nodes", "the units named"),
}


def machine():
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release()}"
    try:
        cores = 0
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                cores += 1
        release = dict(
            line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
        )
        system = release.get("PRETTY_NAME", system).strip('"')
    except OSError:
        pass
    swift = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
    return {
        "date": date.today().isoformat(),
        "processor": f"{cores or '?'} x {processor}",
        "system": system,
        "swift": swift.strip().splitlines()[0] if swift else "?",
    }


def measure(command):
    points = []
    header = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("{"):
                points.append(json.loads(line))
                print(f"{points[-1]['curve']:12} {points[-1]['size']:>9} {points[-1]['value']:>12.0f}  "
                      f"{points[-1]['line']}", flush=True)
            elif not header:
                header = line.strip()
    if process.returncode != 0:
        sys.exit(f"scaling.py: {' '.join(command)} ended with {process.returncode}")
    return {"machine": machine(), "versions": header, "points": points}


def lines_of(results, curve):
    """The curve's lines, in the order they were measured: name to points."""
    lines = {}
    for point in results["points"]:
        if point["curve"] == curve:
            lines.setdefault(point["line"], []).append(point)
    return lines


def write_csv(results):
    fields = ["curve", "line", "size", "value", "low", "high"]
    with open(RESULTS / "scaling.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(results["points"])


def write_markdown(results):
    about = results["machine"]
    text = ["# What one event costs as things grow", "",
            f"{about['date']}, {about['processor']}, {about['system']}; {about['swift']}; {results['versions']}.", "",
            "Medians (smallest to largest). Written by `make bench-scaling`.", ""]
    for curve, (title, size, unit) in CURVES.items():
        lines = lines_of(results, curve)
        if not lines:
            continue
        text += [f"## {title}", "", f"![{title}]({curve}.svg)", "",
                 f"In {unit}:", "",
                 f"| {size} | {' | '.join(lines)} |", f"| ---: |{' ---: |' * len(lines)}"]
        for index, point in enumerate(next(iter(lines.values()))):
            cells = [
                f"{points[index]['value']:.0f} ({points[index]['low']:.0f} to {points[index]['high']:.0f})"
                for points in lines.values()
            ]
            text.append(f"| {point['size']} | {' | '.join(cells)} |")
        text.append("")
    (RESULTS / "scaling.md").write_text("\n".join(text))


def write_plots(results):
    for curve, (title, size, unit) in CURVES.items():
        lines = lines_of(results, curve)
        if not lines:
            continue
        figure, axes = plot.subplots(figsize=(6, 3.6))
        for name, points in lines.items():
            sizes = [point["size"] for point in points]
            axes.plot(sizes, [point["value"] for point in points], marker="o", markersize=4, label=name)
            axes.fill_between(
                sizes, [point["low"] for point in points], [point["high"] for point in points], alpha=0.15
            )
        axes.set(title=title, xlabel=size, ylabel=unit, xscale="log")
        # Over a wide range, the slope says more than the height.
        values = [point["value"] for points in lines.values() for point in points]
        if max(values) > 20 * min(values):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        figure.tight_layout()
        figure.savefig(RESULTS / f"{curve}.svg", metadata={"Date": None})
        plot.close(figure)


def main():
    RESULTS.mkdir(exist_ok=True)
    if sys.argv[1:] == ["--again"]:
        results = json.loads((RESULTS / "scaling.json").read_text())
    elif len(sys.argv) > 1:
        results = measure([sys.argv[1], "scaling", *sys.argv[2:]])
        (RESULTS / "scaling.json").write_text(json.dumps(results, indent=1) + "\n")
    else:
        sys.exit(__doc__)
    write_csv(results)
    write_markdown(results)
    if plot is None:
        print("no plots: there is no matplotlib here (Scripts/setup.sh bench installs it)", file=sys.stderr)
    else:
        write_plots(results)
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
