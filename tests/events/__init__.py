"""What the log may hold for ever: all kinds of events, and one stored example of each.

The topic of an event, its fields, and the parts that its fields are made of are storage. Once written, they
are never renamed, moved or taken away. ``topics.json`` lists them; ``examples`` holds the bytes of one event
of each kind and class version, as the log has them.

After adding a kind of event, a field with a default, or a class version with its upcast, run::

    python -m tests.events.add

It refuses when an example does not load any more. While an event is new and no log holds it yet, it can be
changed freely: ``python -m tests.events.add --anew domain.rounds:Round.Opened`` forgets what was noted of it.
"""
