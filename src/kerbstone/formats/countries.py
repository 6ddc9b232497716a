"""On which side of the road a country drives."""

from __future__ import annotations

from kerbstone.scene import DrivingSide

# ISO 3166-1 alpha-3, of the countries and territories with left- and right-hand traffic; the
# latter are those that driving data sets come from.
_LEFT = """
AIA ATG AUS BHS BGD BRB BMU BTN BWA BRN CYM CYP DMA FLK FJI GRD GGY GUY HKG IND IDN IRL IMN JAM
JPN JEY KEN KIR LSO MAC MWI MYS MDV MLT MUS MSR MOZ NAM NRU NPL NZL NIU PAK PNG PCN SHN KNA LCA
VCT WSM SYC SGP SLB ZAF LKA SUR SWZ TZA THA TLS TKL TON TTO TCA TUV UGA GBR VGB VIR ZMB ZWE
"""
_RIGHT = """
USA CHN DEU BGR FRA ESP ITA GRC BEL NLD LUX AUT CHE CZE POL SWE NOR FIN DNK PRT HRV SVN SVK HUN
ROU SRB ARM ARG BRA CAN MEX CHL COL KOR TWN RUS UKR TUR ISR ARE SAU EGY MAR EST LVA LTU ISL PHL
VNM PRI
"""


def driving_side_of(country: str) -> DrivingSide:
    """Return the driving side of a country by its ISO 3166-1 alpha-3 code.

    Example:
        >>> driving_side_of("USA").name, driving_side_of("GBR").name, driving_side_of("ZAM").name
        ('RIGHT', 'LEFT', 'UNKNOWN')
    """
    if country in _LEFT.split():
        return DrivingSide.LEFT
    return DrivingSide.RIGHT if country in _RIGHT.split() else DrivingSide.UNKNOWN
