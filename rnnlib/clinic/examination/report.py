"""What an examination finds: a name, a severity, what was measured, what to do, and where the course explains it."""

from html import escape
from typing import NamedTuple

SEVERITIES = ("fault", "warning", "fine", "open")
_MARKS = {"fault": "✗", "warning": "!", "fine": "✓", "open": "·"}


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str  # a key, such as "future_leaks"
    severity: str  # "fault": wrong; "warning": may be why it does not train; "fine"; "open": could not be examined
    says: str  # what was found, one sentence
    evidence: str  # what was measured, in numbers; for "open" what it would need
    advice: str = ""  # what to do
    chapter: str = ""  # where it is explained

    def __str__(self) -> str:
        """Give the finding in two or three lines."""
        lines = [f"{_MARKS[self.severity]} {self.name}: {self.says}", f"    {self.evidence}"]
        where = f" ({self.chapter})" if self.chapter else ""
        return "\n".join([*lines, f"    → {self.advice}{where}"] if self.advice else lines)


class Examination(NamedTuple):
    """All findings, the gravest first; `examination["future_leaks"]` is one of them. Prints as a list, in a notebook as a table."""

    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of what is wrong, in the order in which it was looked at."""
        return tuple(finding.name for finding in self.findings if finding.severity == "fault")

    @property
    def warnings(self) -> tuple[str, ...]:
        """The names of what may be why it does not train."""
        return tuple(finding.name for finding in self.findings if finding.severity == "warning")

    def __getitem__(self, key):
        """Look a finding up by its name; by position as any tuple."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        by_name = {finding.name: finding for finding in self.findings}
        if key not in by_name:
            raise KeyError(f"Examination: the finding must be one of {', '.join(by_name)}, got {key!r}.")
        return by_name[key]

    def by_severity(self) -> list[Finding]:
        """List the findings, faults first, then warnings, what is fine, and what could not be examined."""
        return sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity))

    def __str__(self) -> str:
        """Write all findings, the gravest first."""
        counts = [sum(finding.severity == severity for finding in self.findings) for severity in SEVERITIES]
        head = "{} wrong, {} to look at, {} fine, {} not examined".format(*counts)
        return "\n".join([head, *map(str, self.by_severity())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_MARKS[f.severity]} {f.severity}</td><td><code>{f.name}</code></td>"
            f'<td style="text-align:left">{escape(f.says)}<br><small>{escape(f.evidence)}</small></td>'
            f'<td style="text-align:left">{escape(f.advice)}<br><small>{escape(f.chapter)}</small></td></tr>'
            for f in self.by_severity()
        )
        heads = "".join(f"<th>{head}</th>" for head in ("", "finding", "what was found", "what to do"))
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
