"""Notes what is new among the events: ``python -m tests.events.add [--anew <topic or part> ...]``."""

import json
import sys
from collections.abc import Sequence

from services.mapper import decode
from tests.events.catalogue import EXAMPLES, TOPICS, Listing, example_path, examples, kinds, listing, noted
from tests.events.samples import example_of


def main(arguments: Sequence[str]) -> int:
    """Note what is new, unless something that was noted is gone or does not load any more."""
    before = noted() if TOPICS.exists() else Listing(events={}, parts={})
    if arguments and arguments[0] == "--anew":
        _forget(before, arguments[1:])
    now = listing()
    faults = [*_gone(before, now), *_unreadable()]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if faults:
        return 1
    for topic, kind in kinds().items():
        path = example_path(topic, kind.class_version)
        if not path.exists():
            path.write_bytes(example_of(topic) + b"\n")
            sys.stdout.write(f"Added {path.relative_to(EXAMPLES.parent)}. See that it is a likely one.\n")
    TOPICS.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _forget(before: Listing, names: Sequence[str]) -> None:
    for name in names:
        before["events"].pop(name, None)
        before["parts"].pop(name, None)
        for path in EXAMPLES.glob(f"{name.replace(':', '~')}~v*.json"):
            path.unlink()


def _gone(before: Listing, now: Listing) -> list[str]:
    return [
        f"{topic} is gone, and logs hold it. Bring it back; to move it, keep its old topic as another name."
        for topic in before["events"].keys() - now["events"].keys()
    ] + [
        f"{part} has lost {', '.join(sorted(lost))}, and logs hold it. Bring it back."
        for part, names in before["parts"].items()
        if (lost := set(names) - set(now["parts"].get(part, ())))
    ]


def _unreadable() -> list[str]:
    faults = []
    for topic, class_version, state in examples():
        try:
            decode(topic, state)
        except Exception as error:
            faults.append(
                f"The stored example of {topic}, version {class_version}, does not load any more. Give new "
                f"fields a default, or raise class_version and give the event an upcast_v1_v2. {error}"
            )
    return faults


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
