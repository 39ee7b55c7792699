"""
Taking telephone numbers and secrets out of text, whoever wrote it.

Imports nothing but the standard library: the command line and the log both need it.
"""

import re

HIDDEN = "***"

# --- telephone numbers -------------------------------------------------------------------------------------------

# What stands between the digits of a number: spaces, dashes, brackets, dots, slashes and invisible marks, also as
# URLs, JSON and Python's repr write them.
_BETWEEN = (
    r"(?:[ \t./()\[\]+~_\-\u00a0\u00ad\u2000-\u2015\u202a-\u202f\u2053\u2060\u2212\u223c\u30fc\ufeff\uff08\uff09"
    r"\uff0b\uff0d-\uff0f\uff3b\uff3d\uff5e]"
    r"|%(?:2[0-9A-Fa-f]|5[Bb]|5[Dd]|[Cc]2|[Aa][0-9A-Fa-f]|[Ee]2|8[0-9A-Fa-f]|9[0-9A-Fa-f])"
    r"|\\{1,2}(?:t|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}))"
)
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
# Alone, a day must be one of the calendar; what has a T and a time behind it is no number, even if it is mistyped.
_DAY = (
    r"(?:19|20)[0-9]{2}-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?![0-9-])|[0-9]{2}-[0-9]{2}(?=T[0-9]{2}:[0-9]{2}))"
)
_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# What has as many digits and is none. A callid begins with the seconds of its clock, until 2033 a 1 and nine
# digits: no number of the NANP begins so.
_KNOWN = "|".join(
    (
        r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])",
        rf"(?<![0-9+]){_DAY}(?:[T ](?:{_TIME}|[0-9]{{2}}:[0-9]{{2}}){_ZONE}?(?![0-9]))?",
        rf"(?<![0-9]){_TIME}(?![0-9])",
        r"(?<![0-9+.])1[0-9]{9}\.[0-9]{1,10}(?![0-9]|[.-][0-9])",
        rf"(?<![0-9+.])(?:{_BYTE}\.){{3}}{_BYTE}(?![0-9]|[.-][0-9])(?::[0-9]{{1,5}})?(?![0-9])",
        r"\b0x[0-9a-fA-F]{4,16}\b",
        r"(?<![0-9+.])0\.[0-9]{1,20}(?![0-9]|[.-][0-9])",
        r"(?<![0-9+.])[0-9]{1,9}\.[0-9]{1,3} ?(?:[mu\u00b5]?s|seconds?)\b",
        r"(?<![0-9+.])[0-9]{1,19} ?bytes\b",
        r"\boutdial_[0-9a-f]{12}_",
        r"\b(?:dialer|webhooks)[0-9]{1,3}\.[0-9]{1,10}@[\w.-]+",
    )
)
_NUMBER_OR_KNOWN = re.compile(rf"(?P<known>{_KNOWN})|(?<!\d)\d(?:\d|{_BETWEEN}{{1,4}}+(?!{_KNOWN})\d){{6,}}+")
_SHORTEST = 7


def without_numbers(text: str) -> str:
    """
    Return *text* with the digits of telephone numbers as x, but for the last two of each.

    A number is seven digits or more, of any script, perhaps with punctuation between them. Job ids, times,
    callids, IP addresses and durations stay; so do internal numbers of up to six digits.
    """
    if text.isascii() and sum(map(text.count, "0123456789")) < _SHORTEST:
        return text
    return _NUMBER_OR_KNOWN.sub(_masked_number, text)


def _masked_number(found: re.Match[str]) -> str:
    text = found.group()
    if found["known"] is not None:
        return text
    digits = sum(char.isdecimal() for char in text)
    masked = []
    for char in text:
        is_digit = char.isdecimal()
        masked.append("x" if is_digit and digits > 2 else char)
        digits -= is_digit
    return "".join(masked)


# --- secrets -----------------------------------------------------------------------------------------------------

_SECRET_NAMES = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "apikey", "api_key", "api-key"),
    *("hapikey", "authorization", "authorisation", "cookie", "signature", "outto", "callee"),
)
_NAMES = f"(?:{'|'.join(_SECRET_NAMES)})"
_SECRET_NAME = re.compile(rf"(?:^|[^a-z]){_NAMES}s?$|phone|msisdn|mobile", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?P<name>{_NAMES}s?\]?(?:%5D)?\\*[\"']?\s*(?:=>|[=:]|%3[AD])\s*(?:b(?=[\"']))?)"
    # In quotes (escaped ones, where JSON lies in JSON), or up to what ends a word.
    r"(?:(?P<quote>\\*[\"'])(?:(?!(?P=quote))(?:\\.|[^\\]))*+(?P=quote)?"
    r"|(?:(?:Bearer|Basic|Digest|Token)\s+)?[^\s,;&)}\]\"'\\]+)",
    re.IGNORECASE,
)
# Places and forms: what must be in a text before it is looked through, and what of a find is kept.
_PLACES = tuple(
    (hint, re.compile(pattern))
    for hint, pattern in (
        # User and password of an address. A password may hold what should have been percent-encoded.
        ("://", r"(://[^:/@\s\"']*:)[^\s\"'<>]*(?=@)"),
        ("://", r"(://)[^:/@\s\"'<>]+(?=@)"),
        ("=", r"([?&;](?:code|state|sig|key|auth|sid|hash)=)[^&\s\"'<>)]+"),
        # Paths that hold a secret: Bitrix24's webhooks, and our own hooks.
        ("/rest/", r"(/rest/[0-9]{1,10}/)[A-Za-z0-9]+"),
        ("/hooks/", r"(/hooks/[^/\s\"']+/)[^/\s?#\"']+"),
        ("earer", r"(\b[Bb]earer\s+)[A-Za-z0-9._~+/=-]{6,}"),
        ("asic", r"(\b[Bb]asic\s+)[A-Za-z0-9+/=_-]{6,}"),
        # Standard Webhooks' secrets and signatures, our API keys, HubSpot's private apps, Salesforce's sessions,
        # JSON web tokens.
        ("wh", r"(wh(?:sec|sk|pk)_)[A-Za-z0-9+/=_-]+"),
        ("v1", r"(\bv1a?,)[A-Za-z0-9+/]{40,}={0,2}"),
        ("outdial_", r"(outdial_[0-9a-f]{12}_)[A-Za-z0-9_-]+"),
        ("pat-", r"(\bpat-[a-z]{2,4}[0-9]-)[0-9a-f-]{36}"),
        ("00D", r"(\b00D)[A-Za-z0-9]{9,15}![A-Za-z0-9._]+"),
        ("eyJ", r"(\beyJ)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),
    )
)
# Digests and tokens in hex, such as the PBX's; and what only chance writes: long, in all kinds of letters.
_LONG_WORD = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{32,}+|[0-9A-F]{32,}+|(?=[\w-]*?[0-9])(?=[\w-]*?[A-Z])(?=[\w-]*?[a-z])[\w-]{32,})(?![\w-])"
)
_LONG = 32
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def without_secrets(text: str) -> str:
    """
    Return *text* with `***` for what is known as a secret by its name, its place or its form.

    Names: `token=`, `"password": `, `Authorization:` and their like, and `outto`, whose value may be too short to
    be known as a number. Places: addresses with a password, paths and queries that hold a token. Forms: our API
    keys, signing secrets, tokens of CRMs, and long words in hex or of chance.
    """
    # Plain searches first: they take a tenth of the time, and most texts hold nothing of the kind.
    lower = text.lower()
    if any(name in lower for name in _SECRET_NAMES):
        text = _NAMED.sub(_masked_value, text)
    for hint, pattern in _PLACES:
        if hint in text:
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return _LONG_WORD.sub(HIDDEN, text) if len(text) >= _LONG else text


def _masked_value(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{found['name']}{quote}{HIDDEN}{quote}"


def is_secret_name(name: str) -> bool:
    """Whether the value of a field of this name is a secret, or a telephone number of whatever length."""
    return _SECRET_NAME.search(name) is not None


def safe(text: str) -> str:
    """Return *text* without secrets and telephone numbers; see the two above."""
    if len(text) == 36 and _JOB_ID.fullmatch(text):  # half of all fields
        return text
    return without_numbers(without_secrets(text))
