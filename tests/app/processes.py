"""Find the descendants of a process of the app, and what they use, in /proc."""

from pathlib import Path


def children():
    """Return the children of each process, by process id."""
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
    """Return the ids of a process and all its descendants."""
    tree, found = children(), [pid]
    for each in found:
        found.extend(tree.get(each, []))
    return found


def named(pid, words):
    """Return those of a process and its descendants whose name or command contains `words`."""
    return [each for each in below(pid) if words in f"{name_of(each)} {command_of(each)}"]


def parent_of(pid):
    """Return the id of a process's parent; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def name_of(pid):
    """Return the name of a process, which a rank sets itself; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def command_of(pid):
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_seconds(pid):
    """Return the processor time of a process in seconds; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100
