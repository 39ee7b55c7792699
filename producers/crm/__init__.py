"""
What CRMs send, made into wishes for calls: one file for each kind of sender, a row of equals.

An adapter is a pure function from headers and bytes to wishes; it knows no web framework, no Redis and no clock.
Its module is named after its `kind` in the settings and holds two names: `Settings`, a pydantic model of its block
`[source.NAME]` derived from `base.SourceSettings`, and `Adapter`, made from the source's name and those settings.
"""

from producers.crm.base import Adapter, Answer, BadPayload, Delivery, NotAuthentic, SourceSettings, Verdict, Wish

__all__ = ["Adapter", "Answer", "BadPayload", "Delivery", "NotAuthentic", "SourceSettings", "Verdict", "Wish"]
