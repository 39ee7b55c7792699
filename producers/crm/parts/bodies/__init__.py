"""
What CRMs put into a request's body, made into plain dicts, lists, texts, numbers, booleans and None.

Whatever comes, reading it takes little time and memory: every form has its limits, and what exceeds them, or may
mean two things, is a `BadPayload`. A file for each form.
"""

from producers.crm.parts.bodies.charset import MAX_BYTES, MAX_DEPTH
from producers.crm.parts.bodies.choice import Format, body_of
from producers.crm.parts.bodies.forms import form_body
from producers.crm.parts.bodies.json_text import json_body
from producers.crm.parts.bodies.xml_tree import xml_body

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Format", "body_of", "form_body", "json_body", "xml_body"]
