"""
Telephone numbers: from a number as a CRM or a person writes it to what the outbound route of a PBX wants.

`door` is where every producer comes in; `grammar` knows how a number may be written, `plan` the numbering plans of
the countries and the rules of a PBX, and `emergency` what must never be dialed; `moving` takes a
number from one PBX to another.
"""

from producers.numbers.door import dialable, prepare, reading
from producers.numbers.moving import number_on
from producers.numbers.reading import Reading
from producers.numbers.refusals import NumberRefused

__all__ = ["NumberRefused", "Reading", "dialable", "number_on", "prepare", "reading"]
