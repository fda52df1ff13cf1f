"""Every link of a page in docs/ leads to a file."""

import re
import sys
from pathlib import Path

broken = [
    f"{page}: {target}"
    for page in sorted(Path("docs").rglob("*.md"))
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    if not (page.parent / target).is_file()
]
sys.exit("\n".join(broken) or 0)
