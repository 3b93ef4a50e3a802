"""Find the descendants of a process of the app, as a person with `ps` would."""

from pathlib import Path


def children():
    """Map each process to its children."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        found.setdefault(parent, []).append(int(status.parent.name))
    return found


def below(pid):
    """List a process and all its descendants."""
    tree, found = children(), [pid]
    for each in found:
        found.extend(tree.get(each, []))
    return found


def named(pid, words):
    """List the descendants of a process whose command line holds these words."""
    return [each for each in below(pid) if words in command_of(each)]


def command_of(pid):
    """Give a process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_seconds(pid):
    """Give the processor time that a process has used; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100
