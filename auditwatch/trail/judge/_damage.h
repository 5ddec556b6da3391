/*
 * What is wrong with a line, a byte at a time: the native half of `grammar.py`, `depth.py` and `explain.py`, which say
 * the same in Python and are what this must agree with exactly. Everything is linear in the length of the line.
 */

#define MOST_OPEN 4096 /* brackets; what nests deeper is left to Python */

/* Where a value lies, or where it stops to be one. */
struct value {
    size_t start; /* its first byte */
    size_t end;   /* just after its last byte, or the first byte that cannot stand there; the size if it ends too early */
    bool is_whole;
    bool is_unknown; /* too many brackets are open to tell */
};

INLINE bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

INLINE bool is_hexadecimal(uint8_t byte)
{
    return is_digit(byte) || (uint8_t)((byte | 0x20) - 'a') < 6;
}

static size_t skip_blank(const uint8_t *text, size_t size, size_t at)
{
    while (at < size && is_blank(text[at])) at++;
    return at;
}

/* Each of these moves `at` to the end of what begins there, or to the first byte that is wrong, and says which. */

static bool read_escape(const uint8_t *text, size_t size, size_t *at)
{
    if (++*at == size || !memchr("\"\\/bfnrtu", text[*at], 9)) return false;
    bool is_unicode = text[(*at)++] == 'u';
    for (int digits = 0; is_unicode && digits < 4; digits++, ++*at)
        if (*at == size || !is_hexadecimal(text[*at])) return false;
    return true;
}

static bool read_string(const uint8_t *text, size_t size, size_t *at)
{
    if (*at == size || text[*at] != '"') return false;
    for (++*at; *at < size && text[*at] >= 0x20;) {
        if (text[*at] == '\\') {
            if (!read_escape(text, size, at)) return false;
        } else if (text[(*at)++] == '"') {
            return true;
        }
    }
    return false;
}

static bool read_digits(const uint8_t *text, size_t size, size_t *at)
{
    size_t begin = *at;
    while (*at < size && is_digit(text[*at])) ++*at;
    return *at > begin;
}

static bool read_number(const uint8_t *text, size_t size, size_t *at)
{
    if (*at < size && text[*at] == '-') ++*at;
    if (*at < size && text[*at] == '0')
        ++*at;
    else if (!read_digits(text, size, at))
        return false;
    if (*at < size && text[*at] == '.') {
        ++*at;
        if (!read_digits(text, size, at)) return false;
    }
    if (*at < size && (text[*at] | 0x20) == 'e') {
        ++*at;
        if (*at < size && (text[*at] == '+' || text[*at] == '-')) ++*at;
        return read_digits(text, size, at);
    }
    return true;
}

static bool read_scalar(const uint8_t *text, size_t size, size_t *at)
{
    const char *letters = NULL;
    if (*at < size && text[*at] == '"') return read_string(text, size, at);
    if (*at < size && text[*at] == 't') letters = "true";
    if (*at < size && text[*at] == 'f') letters = "false";
    if (*at < size && text[*at] == 'n') letters = "null";
    if (!letters) return read_number(text, size, at);
    for (; *letters; letters++, ++*at)
        if (*at == size || text[*at] != (uint8_t)*letters) return false;
    return true;
}

/* A key and its colon, up to where its value begins. */
static bool read_key(const uint8_t *text, size_t size, size_t *at)
{
    if (!read_string(text, size, at)) return false;
    *at = skip_blank(text, size, *at);
    if (*at == size || text[*at] != ':') return false;
    *at = skip_blank(text, size, *at + 1);
    return true;
}

/* The value that begins at `at`, or after the white space there; what comes after it is not looked at. */
static struct value read_value(const uint8_t *text, size_t size, size_t at)
{
    uint8_t closing[MOST_OPEN];
    size_t open = 0;
    struct value value = {skip_blank(text, size, at), 0, false, false};
    at = value.start;
    while (true) {
        /* a value begins here */
        bool is_empty = false;
        if (at < size && (text[at] == '{' || text[at] == '[')) {
            uint8_t close = text[at] + 2; /* in ASCII */
            at = skip_blank(text, size, at + 1);
            is_empty = at < size && text[at] == close;
            if (!is_empty) {
                if (open == MOST_OPEN) {
                    value.is_unknown = true;
                    return value;
                }
                closing[open++] = close;
                if (close == '}' && !read_key(text, size, &at)) break;
                continue;
            }
            at++;
        } else if (!read_scalar(text, size, &at)) {
            break;
        }
        /* it ended; and so may some around it */
        while (open) {
            at = skip_blank(text, size, at);
            if (at == size || text[at] != closing[open - 1]) break;
            open--;
            at++;
        }
        if (!open) {
            value.is_whole = true;
            break;
        }
        if (at == size || text[at] != ',') break;
        at = skip_blank(text, size, at + 1);
        if (closing[open - 1] == '}' && !read_key(text, size, &at)) break;
    }
    value.end = at;
    return value;
}

/* The offset after a string that begins at `at`, whatever it holds; `is_open` if the text ends before the string does. */
static size_t string_end(const uint8_t *text, size_t size, size_t at, bool *is_open)
{
    for (at++; at < size && text[at] != '"'; at++) at += text[at] == '\\';
    *is_open = at >= size;
    return *is_open ? size : at + 1;
}

/* Whether a record head begins at `at`: a brace, a key in quotes, a colon. */
static bool is_head(const uint8_t *text, size_t size, size_t at)
{
    if (at >= size || text[at] != '{') return false;
    at = skip_blank(text, size, at + 1);
    if (at == size || text[at] != '"') return false;
    for (at++; at < size && text[at] >= 0x20 && text[at] != '"'; at++) at += text[at] == '\\';
    if (at >= size || text[at] != '"') return false;
    at = skip_blank(text, size, at + 1);
    return at < size && text[at] == ':';
}

/*
 * Where a record begins that cannot begin there: at the first error, or at the end of a string that begins before it,
 * whose closing quote opens the key; `size` if nowhere. Strings are counted from `start` on.
 */
static size_t misplaced_head(const uint8_t *text, size_t size, size_t start, size_t error)
{
    for (size_t at = start; at < error && at < size;) {
        if (text[at] != '"') {
            at++;
            continue;
        }
        bool is_open;
        size_t end = string_end(text, size, at, &is_open);
        if (!is_open) {
            size_t last = end - 2;
            while (text[last] == ' ' || text[last] == '\t' || text[last] == '\r') last--;
            if (text[last] == '{' && is_head(text, size, last)) return last;
        }
        at = end;
    }
    return is_head(text, size, error) ? error : size;
}

/* How a line nests, strings aside. */
struct levels {
    size_t deepest;   /* most brackets open at once; what closes nothing closes nothing */
    bool is_balanced; /* whether as many were closed as opened, and none before */
    bool is_open;     /* whether it ends within a string */
};

static struct levels count_levels(const uint8_t *text, size_t size)
{
    struct levels levels = {0, true, false};
    ptrdiff_t level = 0, lowest = 0;
    for (size_t at = 0; at < size;) {
        uint8_t byte = text[at];
        if (byte == '"') {
            at = string_end(text, size, at, &levels.is_open);
            continue;
        }
        if ((byte | 0x20) == '{') level++;
        if ((byte | 0x20) == '}') level--;
        if (level < lowest) lowest = level;
        if ((size_t)(level - lowest) > levels.deepest) levels.deepest = (size_t)(level - lowest);
        at++;
    }
    levels.is_balanced = level == 0 && lowest == 0;
    return levels;
}
