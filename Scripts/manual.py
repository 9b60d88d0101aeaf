#!/usr/bin/env python3
"""Writes a manual page for each command, from what the program says of itself.

manual.py PROGRAM DIRECTORY DATE: PROGRAM is a built mesh-events, DATE a day such as 2026-11-24.
"""
import json
import os
import re
import subprocess
import sys

program, directory, date = sys.argv[1:]


def run(*arguments):
    environment = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run([program, *arguments], env=environment, check=True, capture_output=True, text=True).stdout


version = run("--version").strip()
root = json.loads(run("--experimental-dump-help"))["command"]


def escaped(text):
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    text = text.replace("'", "\\(aq").replace('"', "\\(dq")
    return "\\&" + text if text.startswith(".") else text


def paragraphs(text):
    """Paragraphs; what is indented stays as it stands."""
    lines = []
    literal = False
    wanted = False
    for line in text.split("\n"):
        if not line.strip():
            # A paragraph begins with the text that follows, so that none is empty.
            wanted = True
            continue
        if line.startswith("  ") != literal:
            literal = not literal
            if literal:
                lines += [".PP", ".RS 2", ".nf"]
            else:
                lines += [".fi", ".RE", ".PP"]
        elif wanted:
            lines.append(".sp" if literal else ".PP")
        wanted = False
        lines.append(escaped(line[2:] if literal else line))
    return lines + ([".fi", ".RE"] if literal else [])


def usage(path):
    """The lines behind USAGE: in the help."""
    found = []
    for line in run(*path[1:], "--help").split("\n"):
        match = re.match(r"USAGE: ?(.*)", line)
        if match:
            found.append(match.group(1))
        elif found and line.startswith(" "):
            found.append(line.strip())
        elif found:
            return [line for line in found if line]
    raise SystemExit(f"manual: {' '.join(path)} --help has no usage")


def term(argument):
    """An option as it is typed."""
    if argument["kind"] == "positional":
        text = f"<{argument['valueName']}>" + (" ..." if argument["isRepeating"] else "")
        return escaped(text)
    names = []
    for name in argument["names"]:
        names.append("\\fB" + escaped(("--" if name["kind"] == "long" else "-") + name["name"]) + "\\fR")
    value = "" if argument["kind"] == "flag" else " \\fI" + escaped(argument["valueName"]) + "\\fR"
    return ", ".join(names) + value


def options(command):
    sections = {}
    for argument in command.get("arguments", []):
        if argument["shouldDisplay"]:
            title = argument.get("sectionTitle", "Arguments" if argument["kind"] == "positional" else "Options")
            sections.setdefault(title, []).append(argument)
    lines = []
    for title, arguments in sections.items():
        lines.append(".SH " + escaped(title.upper()).replace(" ", "\\ "))
        for argument in arguments:
            text = argument.get("abstract", "")
            if argument.get("defaultValue") and "efault" not in text and argument["kind"] != "flag":
                text += f" Default: {argument['defaultValue']}."
            lines += [".TP", term(argument), escaped(text)]
    return lines


def page(command, path):
    name = "-".join(path)
    subcommands = [one for one in command.get("subcommands", []) if one["shouldDisplay"] and one["commandName"] != "help"]
    lines = [
        f'.TH "{escaped(name.upper())}" 1 "{date}" "mesh\\-events {version}" "Mesh Events"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(command['abstract'].rstrip('.'))}",
        ".SH SYNOPSIS",
        ".nf",
        *(escaped(line) for line in usage(path)),
        ".fi",
    ]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", *paragraphs(command["discussion"])]
    lines += options(command)
    if subcommands:
        lines.append(".SH COMMANDS")
        for one in subcommands:
            lines += [".TP", f"\\fB{escaped(name + '-' + one['commandName'])}\\fR(1)", escaped(one["abstract"])]
    if len(path) > 1:
        lines += [".SH SEE ALSO", "\\fB" + escaped("-".join(path[:-1])) + "\\fR(1)"]
    with open(os.path.join(directory, name + ".1"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return 1 + sum(page(one, path + [one["commandName"]]) for one in subcommands)


print(f"manual: {page(root, ['mesh-events'])} pages in {directory}", file=sys.stderr)
