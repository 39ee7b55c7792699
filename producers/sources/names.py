"""What columns of a file are called: fields of a dial job, entries of its metadata, and what outdial adds."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from worker.jobs import DialJob

ENTRY = "metadata."
REQUIRED = ("extid", "outto")
_FIELDS = frozenset(DialJob.model_fields)

# In a file of rejected rows. An import skips the first two; see `producers.sources.rejected`.
LINE, ROW, REASON = "outdial_line", "outdial_row", "outdial_reason"
# The reason comes last: a line that was cut off within the row itself lacks a cell, so an import rejects it.
OURS = (LINE, ROW, REASON)

# What other programs and people call a field, in small letters and digits alone. They are suggested and never
# taken: a CRM's "number" may be a telephone number or a customer's.
_ALSO_CALLED = {
    "extid": "ext extension extensionid extensionnumber extnumber extno agent agentextension agentext agentid "
    "caller from fromextension internal internalnumber nebenstelle durchwahl anschluss anexo ramal poste interno "
    "toestel",
    "outto": "phone phonenumber phoneno phone1 telephone telephonenumber telephone1 tel telno mobile mobilephone "
    "mobilenumber cell cellphone number to tonumber called callee destination dial dialto contactnumber msisdn "
    "telefon telefonnummer telefon1 rufnummer handy handynummer mobil mobilnummer mobiltelefon telefono telefono1 "
    "numero celular movil numerotelephone portable telefoonnummer telefoon",
    "autoanswer": "answer autoanswered",
    "pbx": "pbxname server",
    "priority": "prio prioritat prioritaet urgency",
    "key": "uniquekey idempotencykey jobkey",
    "not_before": "startat starttime start earliest callafter callnotbefore scheduledat scheduled",
    "expires_at": "expires expiry expiresat expiration validuntil until endat latest callbefore deadline",
    "on_unknown": "unknown",
}
# Looking for a slip of the pen takes a millisecond a name.
_MOST_COMPARED = 50
_FIELD_OF = {alias: field for field, aliases in _ALSO_CALLED.items() for alias in aliases.split()}
_FIELD_OF |= {field.replace("_", ""): field for field in DialJob.model_fields}


def known_spelling(name: str) -> str:
    """Return the name of a field, or of a column of ours, in small letters; others stay as they are."""
    if name.startswith(ENTRY) or not name.isascii():
        return name
    small = name.lower()
    return small if small in _FIELDS or small in OURS else name


def is_known(name: str) -> bool:
    """Return whether a column may be called so."""
    return name in _FIELDS or name in OURS or (name.startswith(ENTRY) and len(name) > len(ENTRY))


def likely_fields(names: Sequence[str]) -> dict[str, str]:
    """Return for those columns of other names that are likely to hold a field which; for a suggestion."""
    # A name such as metadata_lead is that of an entry.
    letters = {name: plain for name in names if not (plain := _letters(name)).startswith("metadata")}
    likely = {name: field for name, plain in letters.items() if (field := _FIELD_OF.get(plain))}
    for name in [name for name in letters if name not in likely][:_MOST_COMPARED]:
        if near := get_close_matches(letters[name], _FIELD_OF, n=1, cutoff=0.85):
            likely[name] = _FIELD_OF[near[0]]
    return likely


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
