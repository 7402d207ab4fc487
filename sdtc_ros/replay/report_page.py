# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The report's page: its style, and the few pieces of HTML that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --paper: #f6f7f9; --card: #ffffff;
  --line: #dfe3e9; --blue: #2f6fb0; --pale: #a9c6e4; --mark: #d9772b; --warn: #fdf3e3; --warn-line: #e7b565; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #98a3b3; --paper: #14181e; --card: #1d232c;
  --line: #333c49; --blue: #5b9bd8; --pale: #35577a; --mark: #f0a05c; --warn: #2e2618; --warn-line: #8a6a35; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 12px; }
h3 { font-size: 14px; margin: 16px 0 4px; color: var(--soft); font-weight: 600; }
header p, section p, figcaption { color: var(--soft); }
header p { margin: 4px 0 20px; overflow-wrap: anywhere; }
section p { margin: 8px 0; font-size: 14px; }
section, .problems { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin: 16px 0; }
.problems { background: var(--warn); border-color: var(--warn-line); }
.problems ul { margin: 0; padding-left: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 26px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; display: block; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 12px; }
.frames figure:first-child { grid-column: 1 / -1; }
figure { margin: 0; } figcaption { font-size: 13px; }
img { width: 100%; border-radius: 6px; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; }
th { color: var(--soft); font-weight: 600; } tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; font-weight: 600; }
.text th:last-child, .text td:last-child { text-align: left; color: var(--soft); }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 12px; } svg .name { text-anchor: end; fill: var(--ink); }
svg .small, svg .value { font-size: 11px; } svg .mark { text-anchor: middle; } svg .unit { text-anchor: end; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); } svg .series { fill: var(--blue); }
svg .faint { fill: var(--pale); } svg .area { fill: var(--pale); } svg .line { fill: none; stroke: var(--blue); }
svg .tick { stroke: var(--mark); stroke-width: 2; }
"""


def page(title: str, about: str, parts: Sequence[str]) -> str:
    """A whole HTML document; title and about are plain text, parts are HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(about)}</p></header>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, content: str) -> str:
    """A card with a heading; content is HTML."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def tile(name: str, value: str, note: str) -> str:
    """One key figure."""
    return f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>'


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], last_is_text: bool = False, escaped: bool = False
) -> str:
    """A table of plain text (or of HTML, where it is `escaped` already); the last column may be prose."""
    safe = str if escaped else escape
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="text"' if last_is_text else ""
    top = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    return f'<div class="scroll"><table{kind}>{top}<tbody>{body}</tbody></table></div>'
