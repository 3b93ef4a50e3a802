"""Draw the state diagram of a job in ARCHITECTURE.md: `python -m config.contract.job_diagram`."""

from pathlib import Path

from config.contract.job import FINAL, STEPS, State
from config.contract.settings import TOP

FILE = TOP / "ARCHITECTURE.md"
# The lines of the file between which the diagram stands.
BEGIN, END = "```mermaid", "```"


def diagram() -> list[str]:
    """Return the lines of the diagram, in the language of Mermaid, which GitHub draws."""
    lines = ["stateDiagram-v2", "    [*] --> awaiting_upload"]
    for state, steps in STEPS.items():
        lines += [f"    {state} --> {to}: {what}" for to, what in steps.items()]
    lines += [f"    {state} --> [*]" for state in ends()]
    return lines


def ends() -> list[State]:
    """List the states that nothing follows."""
    return [state for state in FINAL if not STEPS[state]]


def drawn(text: str) -> str:
    """Return a text with the diagram as the code has it now."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"\n{END}\n")
    return before + begin + "\n".join(diagram()) + end + after


def write(file: Path = FILE) -> None:
    """Draw the diagram in a file that has one."""
    file.write_text(drawn(file.read_text()))


if __name__ == "__main__":
    write()
