"""The page of an evidence pack: a history that people read in a browser, without any server."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any
from uuid import UUID

from services.history import Published
from services.log import LoggedEvent

_OF_EVERY_EVENT = frozenset(
    {"originator_id", "originator_version", "originator_topic", "timestamp", "by", "because", "class_version"}
)


def page(
    title: str,
    position: int,
    events: Sequence[LoggedEvent],
    checkpoint: Published,
    documents: Collection[str],
    names: Mapping[UUID, str],
) -> str:
    """Return the page, whole in one file."""
    known = {str(id): name for id, name in names.items()}
    rows = "".join(_row(event, known, documents) for event in events)
    witness = {
        "cosigned": "A witness has signed it too.",
        None: "No witness was asked to sign it.",
    }.get(checkpoint.outcome, "The witness that was asked has not signed it.")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1><bdi>{escape(title)}</bdi></h1>
<p>{len(events):,} {"event" if len(events) == 1 else "events"}, as of position {position} of the log
<bdi>{escape(checkpoint.log)}</bdi>. They are covered by the checkpoint about its first {checkpoint.size:,}
events, which was made on {checkpoint.made_at:%d %B %Y at %H:%M} UTC. {witness}</p>
<p class="notice">This page is made for reading, and anybody could have changed it. To see that the events are
those of the log, run <code>python mandate_verify.py</code> in this folder; <code>README.txt</code> says how.
What it verifies is in <code>events.jsonl</code>.</p>
<div class="table" tabindex="0" role="region" aria-label="Events">
<table>
<thead><tr><th scope="col">Position</th><th scope="col">When (UTC)</th><th scope="col">What</th>
<th scope="col">Who</th><th scope="col">Facts</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
</main>
</body>
</html>
"""


_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.4 }
main { max-width: 80rem; margin: 0 auto; padding: 1rem }
.notice { border-inline-start: .3rem solid; padding-inline-start: .8rem }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8888 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: 0 }
dt { opacity: .75 } dd { margin: 0; overflow-wrap: anywhere }
@media print { .table { overflow: visible } }
"""


def _row(event: LoggedEvent, names: Mapping[str, str], documents: Collection[str]) -> str:
    state = _read(event.state)
    facts = "".join(
        f"<dt>{escape(_words(name))}</dt><dd>{_value(value, names, documents)}</dd>"
        for name, value in state.items()
        if name not in _OF_EVERY_EVENT and value not in (None, [], {})
    )
    record = names.get(str(event.originator_id), str(event.originator_id))
    return (
        f"<tr><td>{event.position}</td><td>{escape(_moment(state.get('timestamp')))}</td>"
        f"<td>{escape(_what(event.topic))}<br><small><bdi>{escape(record)}</bdi></small></td>"
        f"<td>{_value(state.get('by', ''), names, documents)}</td><td><dl>{facts}</dl></td></tr>\n"
    )


def _value(value: Any, names: Mapping[str, str], documents: Collection[str]) -> str:
    if isinstance(value, dict):
        return "".join(
            f"<div>{escape(_words(name))}: {_value(part, names, documents)}</div>"
            for name, part in value.items()
        )
    if isinstance(value, list):
        return ", ".join(_value(part, names, documents) for part in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text in documents:
        return f'<a href="documents/{text}">document {text[:12]}</a>'
    return f"<bdi>{escape(names.get(text.removeprefix('person:'), text))}</bdi>"


def _what(topic: str) -> str:
    """Say what happened: ``domain.rounds:Invitation.Issued`` is "Invitation: issued"."""
    kind, _, what = topic.rpartition(":")[2].rpartition(".")
    return f"{_words(kind)}: {_words(what).lower()}" if kind else _words(what)


def _words(name: str) -> str:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace(".", " ")
    return apart[:1].upper() + apart[1:].lower()


def _moment(timestamp: object) -> str:
    return str(timestamp or "").replace("T", " ").removesuffix("Z")[:19]


def _read(state: bytes) -> dict[str, Any]:
    try:
        found = json.loads(state)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
