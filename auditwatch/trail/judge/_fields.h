/* The fields that every record must have: which of them a key is, and whether its value has the type. */

/*
 * The fields that every record must have, one after the other: a letter for the type (auditwatch/trail/judge/native.py),
 * the length of the name in one byte, and the name with its quotes, as it stands in a record.
 */
struct fields {
    const uint8_t *packed;
    size_t size;
    mask all;         /* a bit for each of them, the first one's is bit 0 */
    mask initials[4]; /* a bit for each byte that comes first in one of the names */
};

#define MOST_FIELDS 64

INLINE bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* The number that these two digits are; 100 if they are not digits. */
INLINE unsigned two_digits(const uint8_t *at)
{
    return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10u + (at[1] - '0') : 100;
}

INLINE unsigned days_in(unsigned year, unsigned month)
{
    if (month == 2) return 28 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return 30 + (0xad5 >> (month - 1) & 1);
}

/*
 * Whether a string that begins at `at`, after its opening quote, is a date and time as in RFC 3339, section 5.6, with
 * its offset, or exactly that without one. A blank may replace the T, and a second may be the sixtieth.
 */
static bool is_date(const uint8_t *at, const uint8_t *stop, bool has_offset)
{
    if (stop - at < 20) return false;
    unsigned century = two_digits(at), year = two_digits(at + 2), month = two_digits(at + 5), day = two_digits(at + 8);
    if (century > 99 || year > 99 || at[4] != '-' || month < 1 || month > 12 || at[7] != '-') return false;
    if (day < 1 || day > days_in(century * 100 + year, month) || (at[10] != 'T' && at[10] != 't' && at[10] != ' '))
        return false;
    if (two_digits(at + 11) > 23 || at[13] != ':' || two_digits(at + 14) > 59 || at[16] != ':') return false;
    if (two_digits(at + 17) > 60) return false;
    at += 19;
    if (*at == '.') {
        const uint8_t *point = at++;
        while (at < stop && is_digit(*at)) at++;
        if (at - point < 2) return false;
    }
    if (at < stop && has_offset) {
        if (*at == 'Z' || *at == 'z') {
            at++;
        } else {
            if (stop - at < 6 || (*at != '+' && *at != '-')) return false;
            if (two_digits(at + 1) > 23 || at[3] != ':' || two_digits(at + 4) > 59) return false;
            at += 6;
        }
    }
    return at < stop && *at == '"';
}

/* Whether a value that begins at `at`, in a line that may yet turn out to be damaged, has a type. */
static bool has_type(const uint8_t *at, const uint8_t *stop, uint8_t type)
{
    if (at == stop) return false;
    switch (type) {
    case 'a': return true;
    case 's': return *at == '"';
    case 'b': return *at == 't' || *at == 'f';
    case 'o': return *at == '{';
    case 'l': return *at == '[';
    case 'n': return *at == '-' || is_digit(*at);
    case 'd': return *at == '"' && is_date(at + 1, stop, true);
    case 'w': return *at == '"' && is_date(at + 1, stop, false);
    case 'i':
        at += *at == '-';
        if (at == stop || !is_digit(*at)) return false;
        while (at < stop && is_digit(*at)) at++;
        return at < stop && *at != '.' && *at != 'e' && *at != 'E';
    default: return false;
    }
}

/* Where the value begins whose key ends just before `at`; `stop` if it is not to be seen. */
INLINE const uint8_t *value_after(const uint8_t *at, const uint8_t *stop)
{
    bool colon = false;
    for (; at < stop && (*at == ' ' || *at == '\t' || *at == '\r' || (*at == ':' && !colon)); at++) colon |= *at == ':';
    return colon ? at : stop;
}

/* Whether the key that begins at `at` may be that of a field. */
INLINE bool may_be_field(const struct fields *fields, const uint8_t *at, const uint8_t *stop)
{
    return stop - at > 1 && fields->initials[at[1] / 64] >> at[1] % 64 & 1;
}

/* `had` and the field whose key begins at `at`, if its value has the type; without that field if it has not. */
static mask with_field(const struct fields *fields, mask had, const uint8_t *at, const uint8_t *stop)
{
    const uint8_t *field = fields->packed, *end = field + fields->size;
    for (mask one = 1; field < end; field += 2 + field[1], one <<= 1) {
        size_t length = field[1];
        if (length > (size_t)(stop - at) || at[1] != field[3] || memcmp(at, field + 2, length) != 0) continue;
        had = has_type(value_after(at + length, stop), stop, field[0]) ? had | one : had & ~one;
    }
    return had;
}

/* Whether these are fields as `struct fields` has them, packed; sets the rest of it. */
static bool are_fields(struct fields *fields)
{
    unsigned count = 0;
    size_t at = 0;
    while (fields->size - at > 3 && fields->packed[at + 1] >= 2) {
        uint8_t initial = fields->packed[at + 3];
        fields->initials[initial / 64] |= (mask)1 << initial % 64;
        at += 2u + fields->packed[at + 1];
        if (at > fields->size || ++count > MOST_FIELDS) return false;
    }
    fields->all = count ? ALL >> (MOST_FIELDS - count) : 0;
    return at == fields->size;
}
