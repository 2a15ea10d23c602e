"""The words that are understood beside mathematics; any other word counts for what it says."""

_MEASURES = """
m meter metre|mm millimeter millimetre|cm centimeter centimetre|km kilometer kilometre
ft foot feet|inch inches in|yd yard|mi mile|g gram gramme|mg milligram|kg kilogram|oz ounce|lb pound
l liter litre|ml milliliter millilitre|s sec second|min minute|h hr hour|day|week|month|yr year|ms
cent|n newton|j joule|w watt|v volt|hz hertz|pa pascal|mol mole|kelvin|mph|kph|kmh|gallon
celsius|fahrenheit|acre|hectare|euro|sterling|am|pm|kw|kj|pt pint|qt quart|cup|knot|amp ampere|ohm
rpm
"""
_COUNTS = """
percent pct|degree deg|radian rad|dollar usd|unit|
apple|orange|pear|ball|book|box boxes|boy|candy candies|car|card|child children|coin|cookie|customer
egg|employee|girl|house|integer|marble|meal|member|number|page|pen|pencil|people|person|piece
point|solution|square|student|subset|term|ticket|time|toy|tree|triangle|value|vote|way|worker
"""


def _canonical(lines: str) -> dict[str, str]:
    groups = [group.split() for line in lines.split("\n") for group in line.split("|")]
    words = [(word, group[0]) for group in groups if group for word in group]
    plurals = [(f"{word}s", name) for word, name in words if len(word) > 2]
    return {**dict(plurals), **dict(words)}


MEASURES = _canonical(_MEASURES)
"""Units of measurement, by their canonical name: part of the answer where the reference has one."""

COUNTS = _canonical(_COUNTS)
"""Signs and nouns that may be left out: they repeat what the question asks for."""

CURRENCIES = {"\\$": "dollar", "€": "euro", "£": "sterling"}
"""What stands before an amount."""

_SYMBOLS = "sq cm mm km kg mg ml ft oz lb hr yd mi yr ms hz pa kw kj"
SYMBOLS = frozenset(_SYMBOLS.split())
"""Measures of two letters that are no product of variables when they follow a number."""

SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
MULTIPLES = {"twice": (2, 1), "thrice": (3, 1), "double": (2, 1), "triple": (3, 1), "half": (1, 2)}
POWERS = {"squared": 2, "cubed": 3}
OF_UNITS = {"square": 2, "sq": 2, "cubic": 3}
OPERATORS = {
    "negative": "-",
    "minus": "-",
    "plus": "+",
    "positive": "+",
    "times": "*",
    "per": "/",
    "over": "/",
    "and": ",",
    "or": ",",
}
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
NUMBERS = {word: value for value, word in enumerate(_NUMBERS.split())} | TENS

_FUNCTIONS = "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan ln log lg exp sqrt"
FUNCTIONS = frozenset(_FUNCTIONS.split())
CONSTANTS = {
    "pi": "pi",
    "e": "e",
    "i": "i",
    "infty": "inf",
    "infinity": "inf",
    "inf": "inf",
    "oo": "inf",
}
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma "
    "tau phi varphi chi psi omega Delta Gamma Theta Lambda Sigma Phi Omega Psi ell"
)
GREEK = frozenset(_GREEK.split())
_SPELT = "alpha beta gamma delta epsilon theta kappa lambda sigma omega phi rho tau"
SPELT_GREEK = frozenset(_SPELT.split())
"""Letters that plain typing writes as words; mu, nu, xi, eta, chi and psi may be something else."""
_SMALL_WORDS = "of or to no at is if by in as an on so am pm"
SMALL_WORDS = frozenset(_SMALL_WORDS.split())
PRODUCTS = (frozenset("xyzw"), frozenset("abcd"), frozenset("pqr"), frozenset("klmn"))
"""Runs of three and more of these letters are products; other runs are words."""
