/*
 * The walk over a text, a block of 64 bytes at a time. `_native.c` includes this once for each instruction set, named
 * SET, after the functions of that set; TARGET is the attribute that lets the compiler use it.
 *
 * In what follows `before` is the same of the block before, and a mask named after a class of bytes has their bits.
 */

#define OURS TARGET INLINE

#define bytes NAMED(bytes, SET)
#define lanes NAMED(lanes, SET)
#define load NAMED(load, SET)
#define equal NAMED(equal, SET)
#define folded NAMED(folded, SET)
#define at_most NAMED(at_most, SET)
#define within NAMED(within, SET)
#define either NAMED(either, SET)
#define mask_of NAMED(mask_of, SET)
#define bit NAMED(bit, SET)
#define escape_errors NAMED(escape_errors, SET)
#define utf8_errors NAMED(utf8_errors, SET)
#define number_errors NAMED(number_errors, SET)
#define string_errors NAMED(string_errors, SET)
#define block_errors NAMED(block_errors, SET)
#define walk NAMED(walk, SET)

#ifndef WALK_TYPES
#define WALK_TYPES

/* How many lines are whole, and the offset just after the last of them. */
struct whole {
    size_t lines, end;
};

/* What a block leaves to the next, so that the text could be one long block. */
struct state {
    /* strings */
    mask in_string;   /* all ones if a string goes on, else 0 */
    mask escaped;     /* 1 if the first byte is escaped */
    mask unicode;     /* the `u` of each \u */
    mask lead, lead3, lead4, low_second, high_second; /* UTF-8 */
    /* tokens */
    mask value, scalar, opening, comma, key;                          /* whether one ends with the last byte */
    mask spaced_value, spaced_opening, spaced_comma, spaced_key;      /* whether only white space came after it */
    mask key_goes_on, word_goes_on, word;
    /* numbers */
    mask digit, point, exponent, sign, first_sign, exponent_sign, zero;
    mask fraction_goes_on, exponent_goes_on;
    struct open open;
};

#endif

/* Escaped bytes that no backslash may escape, and bytes after \u that are not hexadecimal digits. */
OURS mask escape_errors(struct state *state, bytes block, mask escaped)
{
    lanes letters = either(either(equal(block, 'b'), equal(block, 'f')), either(equal(block, 'n'), equal(block, 'r')));
    lanes signs = either(either(equal(block, '"'), equal(block, '\\')), either(equal(block, '/'), equal(block, 't')));
    mask u = escaped & mask_of(equal(block, 'u')), before = state->unicode;
    mask errors = escaped & ~u & ~mask_of(either(letters, signs));
    state->unicode = u;
    if (u | before >> 60) {
        mask digits = u << 1 | u << 2 | u << 3 | u << 4 | before >> 63 | before >> 62 | before >> 61 | before >> 60;
        lanes decimal = within(block, '0', 9), upper = within(block, 'A', 5), lower = within(block, 'a', 5);
        errors |= digits & ~mask_of(either(decimal, either(upper, lower)));
    }
    return errors;
}

/*
 * Bytes that are not UTF-8 as in RFC 3629: a byte that should continue a character and does not, or the other way
 * round; bytes that no character has; second bytes that make a character too long, too large, or a surrogate.
 */
OURS mask utf8_errors(struct state *state, bytes block, mask high)
{
    mask six = bit(block, 6), five = bit(block, 5);
    mask lead = high & six, lead3 = lead & five, lead4 = 0, low_second = 0, high_second = 0, errors = 0;
    lanes special = either(either(equal(block, (char)0xe0), equal(block, (char)0xed)),
                           either(within(block, (char)0xf0, 15), within(block, (char)0xc0, 1)));
    if (mask_of(special)) {
        mask four = bit(block, 4), e0 = mask_of(equal(block, (char)0xe0)), ed = mask_of(equal(block, (char)0xed));
        mask f0 = mask_of(equal(block, (char)0xf0)), f4 = mask_of(equal(block, (char)0xf4));
        lead4 = lead3 & four;
        errors = mask_of(either(within(block, (char)0xf5, 10), within(block, (char)0xc0, 1)));
        /* after E0 from A0 on, after F0 from 90 on; after ED up to 9F, after F4 up to 8F */
        mask e0_next = e0 << 1, f0_next = f0 << 1, ed_next = ed << 1, f4_next = f4 << 1;
        errors |= (e0_next & ~five) | (f0_next & ~(five | four)) | (ed_next & five) | (f4_next & (five | four));
        low_second = e0 >> 63 | f0 >> 63 << 1;
        high_second = ed >> 63 | f4 >> 63 << 1;
    }
    if (state->low_second | state->high_second) {
        mask four = bit(block, 4);
        mask low = state->low_second, up = state->high_second;
        errors |= ((low & 1) & ~five) | ((low >> 1) & ~(five | four)) | ((up & 1) & five) | ((up >> 1) & (five | four));
    }
    mask second = lead << 1 | state->lead >> 63;
    mask third = lead3 << 2 | state->lead3 >> 62;
    mask fourth = lead4 << 3 | state->lead4 >> 61;
    errors |= (high & ~six) ^ (second | third | fourth);
    state->lead = lead;
    state->lead3 = lead3;
    state->lead4 = lead4;
    state->low_second = low_second;
    state->high_second = high_second;
    return errors;
}

/*
 * Bytes of numbers at which they stop to be numbers: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
 *
 * `number` are the bytes of all numbers, and of whatever is neither number nor word; `starts` are their first ones.
 */
OURS mask number_errors(struct state *state, bytes block, mask number, mask starts, mask digit)
{
    mask minus = number & mask_of(equal(block, '-')), plus = number & mask_of(equal(block, '+'));
    mask point = number & mask_of(equal(block, '.')), exponent = number & mask_of(folded(block, 'e'));
    mask sign = minus | plus, first_sign = minus & starts;

    mask after_digit = after(digit, state->digit), after_exponent = after(exponent, state->exponent);
    mask exponent_sign = sign & after_exponent;
    mask first = (starts & ~minus) | after(first_sign, state->first_sign);
    mask zero = first & mask_of(equal(block, '0'));
    mask fraction_starts = after(point, state->point);
    mask exponent_starts = (after_exponent & ~exponent_sign) | after(exponent_sign, state->exponent_sign);

    mask errors = number & ~(digit | sign | point | exponent);
    errors |= (first | fraction_starts | exponent_starts) & ~digit;
    errors |= after(zero, state->zero) & digit;
    errors |= (point | exponent) & ~after_digit;
    errors |= sign & ~(first_sign | exponent_sign);
    errors |= run_ends(fraction_starts, digit, &state->fraction_goes_on) & point;
    errors |= run_ends(exponent_starts, digit, &state->exponent_goes_on) & (point | exponent);

    state->digit = digit;
    state->point = point;
    state->exponent = exponent;
    state->first_sign = first_sign;
    state->exponent_sign = exponent_sign;
    state->zero = zero;
    return errors;
}

/* The errors of a block, of which only the first counts; the newlines that end lines, whole or not, go to `newlines`. */
OURS mask block_errors(struct state *state, const uint8_t *from, size_t readable, mask *newlines)
{
    bytes block = load(from);
    mask quote = mask_of(equal(block, '"')), backslash = mask_of(equal(block, '\\'));
    mask control = mask_of(at_most(block, 0x1f)), high = bit(block, 7), errors = 0;

    if (high | (state->lead >> 63) | (state->lead3 >> 62) | (state->lead4 >> 61))
        errors = utf8_errors(state, block, high);
    *newlines = 0;
    if (state->in_string && !(quote | backslash | control | state->escaped | state->unicode >> 60)) return errors;

    mask escaped = 0;
    if (backslash | state->escaped | state->unicode >> 60) {
        escaped = escaped_by(backslash, &state->escaped);
        errors |= escape_errors(state, block, escaped);
        quote &= ~escaped;
    }
    mask string = parity(quote) ^ state->in_string; /* from the opening quote to the byte before the closing one */
    mask string_start = quote & string, string_end = quote & ~string, outside = ~(string | quote);
    state->in_string = -(string >> 63);
    errors |= control & string;

    mask newline = outside & mask_of(equal(block, '\n')), space = outside & mask_of(equal(block, ' '));
    if (control & outside & ~newline)
        space |= outside & mask_of(either(equal(block, '\t'), equal(block, '\r')));
    mask opening = outside & mask_of(folded(block, '{')), closing = outside & mask_of(folded(block, '}'));
    mask comma = outside & mask_of(equal(block, ',')), colon = outside & mask_of(equal(block, ':'));
    mask scalar = outside & ~(newline | space | opening | closing | comma | colon);
    mask after_scalar = after(scalar, state->scalar);
    mask scalar_start = scalar & ~after_scalar;

    mask value = string_end | closing;
    mask after_value = run_ends(after(value, state->value) | (after_scalar & ~scalar), space, &state->spaced_value);
    mask after_opening = run_ends(after(opening, state->opening), space, &state->spaced_opening);
    mask after_comma = run_ends(after(comma, state->comma), space, &state->spaced_comma);

    struct nesting nesting = nest(&state->open, opening, closing, bit(block, 5));
    mask member = (after_opening | after_comma) & nesting.object;
    mask key = sum(member & string_start, string, &state->key_goes_on) & ~string;
    mask after_key = run_ends(after(key, state->key), space, &state->spaced_key);

    mask value_start = string_start | opening | scalar_start;
    errors |= nesting.errors;
    errors |= value_start & after_value;
    errors |= (comma | colon | newline) & ~after_value;
    errors |= closing & ~(after_value | after_opening);
    errors |= member & ~(string_start | closing);
    errors |= after_key ^ colon;
    errors |= nesting.top & (string_start | comma | colon | scalar);
    errors |= newline & ~nesting.top;

    mask digit = scalar & mask_of(within(block, '0', 9));
    if (scalar | state->scalar >> 63) {
        mask starts = scalar_start & ~digit & ~mask_of(equal(block, '-'));
        mask word = 0;
        if (starts | state->word_goes_on) word = words(from, readable, starts, &state->word_goes_on, &errors);
        errors |= after(word, state->word) & scalar & ~word;
        state->word = word;
        errors |= number_errors(state, block, scalar & ~word, scalar_start & ~word, digit);
    }
    state->scalar = scalar;
    state->value = value;
    state->opening = opening;
    state->comma = comma;
    state->key = key;
    *newlines = newline;
    return errors;
}

/* How many lines of text[start:stop] are whole, from the first one on. */
TARGET static struct whole walk(const uint8_t *text, size_t start, size_t stop, size_t max_line_bytes)
{
    struct whole whole = {0, start};
    struct state state;
    memset(&state, 0, sizeof state);
    for (size_t at = start; at < stop; at += BLOCK) {
        uint8_t last[BLOCK + LONGEST_WORD];
        const uint8_t *from = text + at;
        size_t readable = stop - at;
        if (readable < BLOCK) {
            memset(last, ' ', sizeof last);
            memcpy(last, from, readable);
            from = last;
        }
        mask newlines, errors = block_errors(&state, from, readable, &newlines);
        mask ended = errors ? newlines & ((errors & -errors) - 1) : newlines;
        for (; ended; ended &= ended - 1) {
            size_t newline = at + (size_t)__builtin_ctzll(ended);
            if (newline - whole.end > max_line_bytes) return whole;
            whole.lines++;
            whole.end = newline + 1;
        }
        if (errors) return whole;
    }
    return whole;
}

#undef OURS
#undef bytes
#undef lanes
#undef load
#undef equal
#undef folded
#undef at_most
#undef within
#undef either
#undef mask_of
#undef bit
#undef escape_errors
#undef utf8_errors
#undef number_errors
#undef string_errors
#undef block_errors
#undef walk
