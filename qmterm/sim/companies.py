"""The first names of every simulated market: familiar tickers with invented, plausible numbers.

One line a name: ticker, name, sector, price ($), beta, annual volatility, average volume (million shares).
"""

from __future__ import annotations

from dataclasses import dataclass

FUND = 11  # index of the last sector
SECTORS = (
    "Technology",
    "Communication Services",
    "Consumer Cyclical",
    "Consumer Defensive",
    "Healthcare",
    "Financial Services",
    "Industrials",
    "Energy",
    "Basic Materials",
    "Utilities",
    "Real Estate",
    "Fund",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the details of a ticker tell of the company."""

    sector: str
    shares: int
    industry_code: str
    employees: int


_TABLE = """
SPY|SPDR S&P 500 ETF Trust|11|686|1.00|0.14|78
QQQ|Invesco QQQ Trust|11|612|1.18|0.18|52
IWM|iShares Russell 2000 ETF|11|248|1.12|0.20|34
AAPL|Apple Inc.|0|262|1.15|0.26|48
MSFT|Microsoft Corporation|0|478|1.02|0.23|22
NVDA|NVIDIA Corporation|0|186|1.75|0.42|180
AMD|Advanced Micro Devices Inc.|0|214|1.80|0.52|44
TSLA|Tesla Inc.|2|428|1.85|0.54|82
AMZN|Amazon.com Inc.|2|232|1.25|0.30|42
META|Meta Platforms Inc.|1|652|1.25|0.33|14
GOOGL|Alphabet Inc. Class A|1|306|1.08|0.29|34
AVGO|Broadcom Inc.|0|346|1.50|0.42|26
NFLX|Netflix Inc.|1|96|1.10|0.34|36
PLTR|Palantir Technologies Inc.|0|172|1.70|0.58|60
COIN|Coinbase Global Inc.|5|262|1.95|0.68|9
MU|Micron Technology Inc.|0|318|1.60|0.50|24
INTC|Intel Corporation|0|41|1.25|0.48|88
UBER|Uber Technologies Inc.|6|84|1.25|0.36|19
CRM|Salesforce Inc.|0|246|1.15|0.33|7
ORCL|Oracle Corporation|0|192|1.25|0.42|18
ADBE|Adobe Inc.|0|338|1.10|0.32|4
SHOP|Shopify Inc.|0|158|1.60|0.48|8
SNOW|Snowflake Inc.|0|218|1.40|0.48|5
PANW|Palo Alto Networks Inc.|0|188|1.10|0.34|6
CRWD|CrowdStrike Holdings Inc.|0|472|1.25|0.42|3
NET|Cloudflare Inc.|0|196|1.45|0.50|4
DDOG|Datadog Inc.|0|138|1.35|0.46|5
SMCI|Super Micro Computer Inc.|0|36|1.60|0.72|34
MRVL|Marvell Technology Inc.|0|88|1.60|0.52|16
QCOM|Qualcomm Inc.|0|172|1.30|0.33|8
TXN|Texas Instruments Inc.|0|182|1.05|0.30|6
AMAT|Applied Materials Inc.|0|264|1.45|0.40|7
LRCX|Lam Research Corporation|0|178|1.55|0.44|11
ARM|Arm Holdings plc|0|126|1.65|0.54|6
ANET|Arista Networks Inc.|0|132|1.45|0.44|8
DELL|Dell Technologies Inc.|0|128|1.30|0.44|7
HPQ|HP Inc.|0|24|1.10|0.32|11
IBM|International Business Machines|0|302|0.80|0.26|5
CSCO|Cisco Systems Inc.|0|77|0.90|0.23|20
ACN|Accenture plc|0|268|0.95|0.28|4
DIS|Walt Disney Company|1|112|1.00|0.28|10
T|AT&T Inc.|1|25|0.55|0.22|38
VZ|Verizon Communications Inc.|1|41|0.45|0.20|22
CMCSA|Comcast Corporation|1|29|0.80|0.28|30
SPOT|Spotify Technology S.A.|1|562|1.30|0.40|2
RBLX|Roblox Corporation|1|82|1.40|0.56|9
SNAP|Snap Inc.|1|8.2|1.40|0.62|42
PINS|Pinterest Inc.|1|26|1.25|0.46|15
ROKU|Roku Inc.|1|108|1.60|0.56|4
TTD|Trade Desk Inc.|1|38|1.50|0.60|14
HD|Home Depot Inc.|2|352|0.95|0.24|4
LOW|Lowe's Companies Inc.|2|238|0.98|0.26|3
MCD|McDonald's Corporation|2|308|0.60|0.18|3
SBUX|Starbucks Corporation|2|86|0.95|0.32|9
NKE|Nike Inc.|2|65|1.10|0.36|14
TGT|Target Corporation|2|98|1.00|0.36|6
BKNG|Booking Holdings Inc.|2|5280|1.10|0.27|0.3
ABNB|Airbnb Inc.|2|132|1.25|0.38|5
DASH|DoorDash Inc.|2|228|1.35|0.44|4
CMG|Chipotle Mexican Grill Inc.|2|38|1.05|0.36|18
F|Ford Motor Company|2|13.4|1.15|0.34|60
GM|General Motors Company|2|80|1.20|0.34|9
RIVN|Rivian Automotive Inc.|2|17.5|1.60|0.66|36
LULU|Lululemon Athletica Inc.|2|196|1.15|0.42|3
EBAY|eBay Inc.|2|88|1.00|0.30|5
CVNA|Carvana Co.|2|412|1.90|0.66|4
DKNG|DraftKings Inc.|2|35|1.35|0.46|12
WMT|Walmart Inc.|3|116|0.60|0.21|18
COST|Costco Wholesale Corporation|3|912|0.80|0.21|2
KO|Coca-Cola Company|3|70|0.45|0.16|15
PEP|PepsiCo Inc.|3|146|0.45|0.18|6
PG|Procter & Gamble Company|3|144|0.45|0.17|8
PM|Philip Morris International|3|162|0.55|0.24|5
CELH|Celsius Holdings Inc.|3|46|1.20|0.56|6
LLY|Eli Lilly and Company|4|1042|0.75|0.35|3
UNH|UnitedHealth Group Inc.|4|332|0.65|0.36|8
JNJ|Johnson & Johnson|4|208|0.45|0.18|8
PFE|Pfizer Inc.|4|25.4|0.60|0.25|46
MRK|Merck & Co. Inc.|4|106|0.55|0.26|11
ABBV|AbbVie Inc.|4|226|0.60|0.25|6
MRNA|Moderna Inc.|4|34|1.30|0.66|11
GILD|Gilead Sciences Inc.|4|124|0.55|0.25|6
AMGN|Amgen Inc.|4|326|0.65|0.25|3
ISRG|Intuitive Surgical Inc.|4|568|1.10|0.31|2
HIMS|Hims & Hers Health Inc.|4|38|1.50|0.80|24
JPM|JPMorgan Chase & Co.|5|322|1.05|0.24|9
BAC|Bank of America Corporation|5|54|1.10|0.26|36
WFC|Wells Fargo & Company|5|92|1.12|0.27|14
C|Citigroup Inc.|5|116|1.20|0.28|13
GS|Goldman Sachs Group Inc.|5|892|1.25|0.29|2
MS|Morgan Stanley|5|178|1.22|0.28|6
SCHW|Charles Schwab Corporation|5|98|1.05|0.28|8
V|Visa Inc.|5|346|0.85|0.20|7
MA|Mastercard Inc.|5|562|0.88|0.21|3
AXP|American Express Company|5|374|1.15|0.27|3
PYPL|PayPal Holdings Inc.|5|60|1.25|0.38|14
HOOD|Robinhood Markets Inc.|5|124|2.00|0.70|32
SOFI|SoFi Technologies Inc.|5|27|1.75|0.60|58
AFRM|Affirm Holdings Inc.|5|76|1.90|0.66|7
MSTR|Strategy Inc.|5|168|2.00|0.76|18
BA|Boeing Company|6|214|1.20|0.34|8
CAT|Caterpillar Inc.|6|584|1.10|0.30|3
DE|Deere & Company|6|472|0.95|0.28|1.5
GE|GE Aerospace|6|312|1.15|0.29|5
HON|Honeywell International Inc.|6|198|0.90|0.22|4
LMT|Lockheed Martin Corporation|6|488|0.45|0.23|1.4
RTX|RTX Corporation|6|182|0.65|0.23|5
UPS|United Parcel Service Inc.|6|101|0.90|0.29|6
FDX|FedEx Corporation|6|288|1.05|0.31|2
DAL|Delta Air Lines Inc.|6|68|1.35|0.40|9
UAL|United Airlines Holdings Inc.|6|108|1.45|0.46|6
VRT|Vertiv Holdings Co.|6|172|1.70|0.54|8
GEV|GE Vernova Inc.|6|648|1.40|0.44|3
RKLB|Rocket Lab Corporation|6|72|1.80|0.76|24
XOM|Exxon Mobil Corporation|7|118|0.75|0.24|15
CVX|Chevron Corporation|7|152|0.78|0.24|8
OXY|Occidental Petroleum Corp.|7|42|0.95|0.32|10
SLB|SLB Limited|7|39|1.00|0.34|14
COP|ConocoPhillips|7|96|0.90|0.30|7
DVN|Devon Energy Corporation|7|37|1.00|0.35|9
OKLO|Oklo Inc.|7|92|1.90|0.95|16
CCJ|Cameco Corporation|7|94|1.25|0.46|5
FCX|Freeport-McMoRan Inc.|8|48|1.35|0.40|16
NEM|Newmont Corporation|8|98|0.60|0.36|9
NUE|Nucor Corporation|8|162|1.15|0.34|2
CLF|Cleveland-Cliffs Inc.|8|13|1.60|0.60|22
MP|MP Materials Corp.|8|58|1.45|0.70|12
AA|Alcoa Corporation|8|46|1.50|0.48|6
NEE|NextEra Energy Inc.|9|82|0.60|0.25|10
VST|Vistra Corp.|9|172|1.30|0.50|5
CEG|Constellation Energy Corp.|9|356|1.15|0.44|3
AMT|American Tower Corporation|10|176|0.70|0.25|3
O|Realty Income Corporation|10|57|0.60|0.18|5
GLD|SPDR Gold Shares|11|412|0.10|0.19|10
SLV|iShares Silver Trust|11|58|0.30|0.36|28
TLT|iShares 20+ Year Treasury Bond ETF|11|89|-0.10|0.14|32
XLF|Financial Select Sector SPDR|11|54|1.00|0.18|36
XLE|Energy Select Sector SPDR|11|46|0.80|0.23|16
XLK|Technology Select Sector SPDR|11|146|1.20|0.21|7
SMH|VanEck Semiconductor ETF|11|366|1.55|0.34|7
ARKK|ARK Innovation ETF|11|82|1.60|0.42|8
XBI|SPDR S&P Biotech ETF|11|116|1.00|0.30|7
EEM|iShares MSCI Emerging Markets ETF|11|57|0.80|0.19|24
"""


@dataclass(frozen=True, slots=True)
class Company:
    ticker: str
    name: str
    sector: int  # index into SECTORS
    price: float
    beta: float
    volatility: float  # annual
    volume: float  # shares a day


def _read(line: str) -> Company:
    ticker, name, sector, price, beta, volatility, millions = line.split("|")
    return Company(ticker, name, int(sector), float(price), float(beta), float(volatility), float(millions) * 1e6)


KNOWN = tuple(_read(line) for line in _TABLE.strip().splitlines())
INDEX_FUNDS = ("SPY", "QQQ", "IWM")  # expiries every day, penny ticks at every price

_FIRST_WORDS = """
Alder Amber Anchor Apex Argent Aspen Atlas Aurora Beacon Birch Bluff Boreal Bright Cascade Cedar
Cobalt Copper Crest Crown Delta Dune Eagle Ember Evergreen Falcon First Forge Granite Gulf Harbor
Heritage Horizon Iron Juniper Keystone Lake Liberty Lumen Maple Meridian Monarch North Oak Onyx
Orchid Pacific Pinnacle Prairie Quartz Ridge River Sable Silver Solar Sterling Summit Tidal Union
Vale Vector Vertex West Willow Zenith
"""
_FIRST = tuple(_FIRST_WORDS.split())
_SECOND = (
    ("Systems", "Software", "Semiconductor", "Networks", "Data"),
    ("Media", "Broadcasting", "Wireless", "Interactive", "Studios"),
    ("Brands", "Motors", "Retail", "Leisure", "Resorts"),
    ("Foods", "Beverages", "Household", "Farms", "Grocers"),
    ("Therapeutics", "Medical", "Biosciences", "Health", "Diagnostics"),
    ("Financial", "Bancorp", "Capital", "Insurance", "Credit"),
    ("Industries", "Logistics", "Aerospace", "Machinery", "Engineering"),
    ("Energy", "Petroleum", "Drilling", "Pipeline", "Resources"),
    ("Materials", "Chemicals", "Mining", "Metals", "Paper"),
    ("Power", "Utilities", "Water", "Electric", "Gas"),
    ("Properties", "Realty", "REIT", "Land", "Homes"),
    ("Index ETF", "Dividend ETF", "Growth ETF", "Bond ETF", "Income ETF"),
)


def invented_name(number: int, sector: int) -> str:
    """A company name for a generated ticker; the same number always gives the same name."""
    words = _SECOND[sector]
    first = _FIRST[number % len(_FIRST)]
    second = words[(number // len(_FIRST)) % len(words)]
    return f"{first} {second}" if sector == len(SECTORS) - 1 else f"{first} {second} Inc."
