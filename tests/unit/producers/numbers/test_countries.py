"""Countries: however a CRM writes one, two letters come out, or none."""

import pytest

from producers.numbers.countries import known_country


@pytest.mark.parametrize(
    ("written", "country"),
    [
        *(("GB", "GB"), ("gb", "GB"), (" uk ", "GB"), ("GBR", "GB"), ("United Kingdom", "GB"), ("England", "GB")),
        *(("the united kingdom", "GB"), ("Great Britain", "GB"), ("Vereinigtes K\u00f6nigreich", "GB")),
        *(("USA", "US"), ("U.S.A.", "US"), ("United States of America", "US"), ("usa", "US"), ("+1", "US")),
        *(
            ("Deutschland", "DE"),
            ("Allemagne", "DE"),
            ("DEU", "DE"),
            ("+49", "DE"),
            ("0049", "DE"),
            ("+ 49", "DE"),
        ),
        *(("Gro\u00dfbritannien", "GB"), ("Grande-Bretagne", "GB"), ("EE.UU.", "US"), ("Republic of Korea", "KR")),
        *(("\u00d6sterreich", "AT"), ("Osterreich", "AT"), ("Schweiz", "CH"), ("Suisse", "CH"), ("CHE", "CH")),
        *(
            ("The Netherlands", "NL"),
            ("Holland", "NL"),
            ("Nederland", "NL"),
            ("Espa\u00f1a", "ES"),
            ("Espana", "ES"),
        ),
        *(
            ("Bosnia and Herzegovina", "BA"),
            ("Bosnia & Herzegovina", "BA"),
            ("Czech Republic", "CZ"),
            ("Czechia", "CZ"),
        ),
        *(
            ("C\u00f4te d\u2019Ivoire", "CI"),
            ("Ivory Coast", "CI"),
            ("St. Lucia", "LC"),
            ("EL", "GR"),
            ("Hong Kong", "HK"),
        ),
        *(("Atlantis", None), ("Congo", None), ("Korea", None), ("EU", None), ("XX", None), ("SUN", None)),
        *(
            ("44", None),
            ("826", None),
            ("+999", None),
            ("N/A", None),
            ("", None),
            (" ", None),
            (None, None),
            ("-", None),
        ),
        *(("\ud800", None), ("x" * 5000, None)),
    ],
)
def test_a_country_is_understood_or_none(written: str | None, country: str | None) -> None:
    assert known_country(written) == country
