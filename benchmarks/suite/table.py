"""What a person reads of a part."""

from __future__ import annotations

from typing import Any


def lines(name: str, part: dict[str, Any]) -> list[str]:
    found = [f"\n{name}  ({part['seconds']:.0f} s)"]
    for group in part["groups"]:
        found += [
            "",
            f"  {group['title']}",
            *_contestants(group),
            *map(_ratio, group["ratios"]),
            *map(_figure, group["figures"]),
        ]
        found += [f"    {note}" for note in group["notes"]]
    return found + [f"  skipped: {what}: {why}" for what, why in part["skipped"].items()]


def _contestants(group: dict[str, Any]) -> list[str]:
    rows = []
    for name, row in group["contestants"].items():
        seconds = row["seconds"]
        ms = " to ".join(f"{1000 * seconds[key]:.4g}" for key in ("quarter", "three_quarters"))
        more = "".join(f"   {key.replace('_', ' ')} {row[key]:.2g}" for key in row if key not in ("seconds", "per_second"))
        rows.append(
            f"    {name:44}{row['per_second']:>12,.1f} {group['unit']}/s{1000 * seconds['median']:>12.4g} ms ({ms}){more}"
        )
    return rows


def _ratio(row: dict[str, Any]) -> str:
    between = f"{row['quarter']:.2f} to {row['three_quarters']:.2f}"
    return f"    {row['of']} is {row['median']:.2f}× as fast as {row['over']} ({between}){_wanted(row)}"


def _figure(row: dict[str, Any]) -> str:
    return f"    {row['what']}: {row['value']:.4g} {row['unit']}{_wanted(row)}"


def _wanted(row: dict[str, Any]) -> str:
    bounds = [f"{words} {row[key]:g}" for key, words in (("at_least", "at least"), ("at_most", "at most")) if key in row]
    return f"; wanted {bounds[0]}{'' if row['reached'] else ', NOT REACHED'}" if bounds else ""


def short(part: dict[str, Any]) -> list[str]:
    """The figures of a part that are not what was wanted, a line each."""
    found = [(group["title"], row) for group in part["groups"] for row in [*group["ratios"], *group["figures"]]]
    return [
        f"{title}: {row.get('what') or row['of'] + ' over ' + row['over']}"
        for title, row in found
        if not row.get("reached", True)
    ]
