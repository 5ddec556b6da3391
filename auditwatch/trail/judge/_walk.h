/*
 * The walk over a text, a block of 64 bytes at a time. `_native.c` includes this once for each instruction set, named
 * SET, after the functions of that set; TARGET is the attribute that lets the compiler use it.
 *
 * A mask that is named after a class of bytes has the bits of those bytes.
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
#define scalar_errors NAMED(scalar_errors, SET)
#define block_errors NAMED(block_errors, SET)
#define walked NAMED(walked, SET)
#define walk NAMED(walk, SET)

#ifndef WALK_TYPES
#define WALK_TYPES

/* How many lines are whole, and the offset just after the last of them. */
struct whole {
    size_t lines, end;
};

/* What a block leaves to the next, so that the text could be one long block. */
struct state {
    mask in_string; /* all ones if a string goes on, else 0 */
    carry escaped, key_goes_on, first_key_goes_on;
    /* whether the last byte ends one, or only white space came after it */
    carry value, opening, comma, key;
    carry scalar, word_ended;
    mask word_goes_on;
    /* numbers */
    carry zero, digit, point, fraction_goes_on, first_sign, exponent, exponent_sign, exponent_goes_on;
    /* the last bits of: the `u` of each \u; first bytes of characters of two bytes and more, three and more, four */
    mask unicode, lead, lead3, lead4;
    carry after_e0, after_ed, after_f0, after_f4;
    struct open open;
};

/* What a block holds that is of use outside of it. */
struct sights {
    mask newline;    /* newlines that end lines, whole or not */
    mask first_keys; /* opening quotes of keys of the outermost object */
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
    mask six = bit(block, 6), five = bit(block, 5), errors = 0;
    mask lead = high & six, lead3 = lead & five, lead4 = 0;
    lanes e0_ed = either(equal(block, (char)0xe0), equal(block, (char)0xed));
    lanes f_c0 = either(within(block, (char)0xf0, 15), within(block, (char)0xc0, 1));
    if (mask_of(either(e0_ed, f_c0)) | state->after_e0 | state->after_ed | state->after_f0 | state->after_f4) {
        mask four = bit(block, 4);
        lead4 = lead3 & four;
        errors = mask_of(either(within(block, (char)0xf5, 10), within(block, (char)0xc0, 1)));
        errors |= after(mask_of(equal(block, (char)0xe0)), &state->after_e0) & ~five;          /* from A0 on */
        errors |= after(mask_of(equal(block, (char)0xed)), &state->after_ed) & five;           /* up to 9F */
        errors |= after(mask_of(equal(block, (char)0xf0)), &state->after_f0) & ~(five | four); /* from 90 on */
        errors |= after(mask_of(equal(block, (char)0xf4)), &state->after_f4) & (five | four);  /* up to 8F */
    }
    mask second = lead << 1 | state->lead >> 63;
    mask third = lead3 << 2 | state->lead3 >> 62;
    mask fourth = lead4 << 3 | state->lead4 >> 61;
    state->lead = lead;
    state->lead3 = lead3;
    state->lead4 = lead4;
    return errors | ((high & ~six) ^ (second | third | fourth));
}

/*
 * Bytes at which numbers stop to be numbers: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
 *
 * `number` are the bytes of all numbers, and of whatever is neither number nor word; `starts` are their first ones.
 */
OURS mask number_errors(struct state *state, bytes block, mask number, mask starts, mask digit)
{
    mask point = number & mask_of(equal(block, '.')), other = number & ~(digit | point);
    mask after_digit = after(digit, &state->digit), errors = point & ~after_digit, first = starts;

    if (other | state->first_sign | state->exponent | state->exponent_sign | state->exponent_goes_on) {
        mask minus = number & mask_of(equal(block, '-')), sign = minus | (number & mask_of(equal(block, '+')));
        mask exponent = number & mask_of(folded(block, 'e')), after_exponent = after(exponent, &state->exponent);
        mask first_sign = minus & starts, exponent_sign = sign & after_exponent;
        mask power = (after_exponent & ~sign) | after(exponent_sign, &state->exponent_sign);
        first = (starts & ~minus) | after(first_sign, &state->first_sign);
        errors |= other & ~(first_sign | exponent_sign | exponent);
        errors |= exponent & ~after_digit;
        errors |= power & ~digit;
        power |= state->exponent_goes_on;
        state->exponent_goes_on = 0;
        errors |= run_ends(power, digit, &state->exponent_goes_on) & (point | exponent);
    }
    mask fraction = after(point, &state->point);
    errors |= (first | fraction) & ~digit;
    errors |= after(first & mask_of(equal(block, '0')), &state->zero) & digit;
    fraction |= state->fraction_goes_on;
    state->fraction_goes_on = 0;
    return errors | (run_ends(fraction, digit, &state->fraction_goes_on) & point);
}

/* Bytes of `scalar` that belong to no number and no word; `starts` are the first bytes of numbers and words. */
OURS mask scalar_errors(struct state *state, bytes block, const uint8_t *from, size_t readable, mask scalar, mask starts)
{
    mask digit = scalar & mask_of(within(block, '0', 9)), word = 0, errors = 0;
    if ((starts & ~digit) | state->word_goes_on) {
        mask word_starts = starts & ~digit & ~mask_of(equal(block, '-'));
        word = words(from, readable, word_starts, &state->word_goes_on, &errors);
    }
    errors |= after(word, &state->word_ended) & scalar & ~word;
    return errors | number_errors(state, block, scalar & ~word, starts & ~word, digit);
}

/*
 * The errors of a block, of which only the first counts. If keys are wanted, so is an escape in a key of the outermost
 * object: it could be the name of a field in disguise.
 */
OURS mask block_errors(struct state *state, const uint8_t *from, size_t readable, bool wants_keys, struct sights *sights)
{
    bytes block = load(from);
    mask quote = mask_of(equal(block, '"')), backslash = mask_of(equal(block, '\\'));
    mask control = mask_of(at_most(block, 0x1f)), high = bit(block, 7), errors = 0;

    if (high | (state->lead >> 63) | (state->lead3 >> 62) | (state->lead4 >> 61))
        errors = utf8_errors(state, block, high);
    *sights = (struct sights){0, 0};
    mask escapes = backslash | state->escaped | state->unicode >> 60;
    if (state->in_string && !(quote | control | escapes)) return errors;
    if (escapes) {
        mask escaped = escaped_by(backslash, &state->escaped);
        errors |= escape_errors(state, block, escaped);
        quote &= ~escaped;
    }
    mask string = parity(quote) ^ state->in_string; /* from the opening quote to the byte before the closing one */
    mask string_start = quote & string, string_end = quote & ~string, outside = ~(string | quote);
    state->in_string = -(string >> 63);

    mask newline = outside & mask_of(equal(block, '\n')), space = outside & mask_of(equal(block, ' '));
    if (control & outside & ~newline)
        space |= outside & mask_of(either(equal(block, '\t'), equal(block, '\r')));
    mask opening = outside & mask_of(folded(block, '{')), closing = outside & mask_of(folded(block, '}'));
    mask comma = outside & mask_of(equal(block, ',')), colon = outside & mask_of(equal(block, ':'));
    mask scalar = outside & ~(newline | space | opening | closing | comma | colon);
    mask after_scalar = after(scalar, &state->scalar), scalar_start = scalar & ~after_scalar;

    /* The first byte after each value, opening bracket and comma that is not white space. */
    mask after_value = after(string_end | closing, &state->value) | (after_scalar & ~scalar);
    mask after_opening = after(opening, &state->opening), after_comma = after(comma, &state->comma);
    if (space) {
        after_value = run_ends(after_value, space, &state->value);
        after_opening = run_ends(after_opening, space, &state->opening);
        after_comma = run_ends(after_comma, space, &state->comma);
    }
    struct nesting nesting = nest(&state->open, opening, closing, bit(block, 5));
    mask member = (after_opening | after_comma) & nesting.object;
    mask key = sum(member & string_start, string, &state->key_goes_on) & ~string;
    mask after_key = after(key, &state->key);
    if (space) after_key = run_ends(after_key, space, &state->key);

    errors |= control & string;
    errors |= nesting.errors;
    errors |= (string_start | opening | scalar_start) & after_value;
    errors |= (comma | colon | newline) & ~after_value;
    errors |= closing & ~(after_value | after_opening);
    errors |= member & ~(string_start | closing);
    errors |= after_key ^ colon;
    errors |= nesting.top & (string_start | comma | colon | scalar);
    errors |= newline & ~nesting.top;
    if (after_scalar | scalar) errors |= scalar_errors(state, block, from, readable, scalar, scalar_start);
    sights->newline = newline;
    if (wants_keys) {
        sights->first_keys = nesting.first & member & string_start;
        errors |= backslash & string & ~sum(sights->first_keys, string, &state->first_key_goes_on);
    }
    return errors;
}

OURS struct whole walked(const uint8_t *text, size_t start, size_t stop, size_t max_line_bytes,
                         const struct fields *fields, bool wants_keys)
{
    struct whole whole = {0, start};
    struct state state;
    mask had = 0;
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
        struct sights sights;
        mask errors = block_errors(&state, from, readable, wants_keys, &sights);
        mask seen = sights.newline | sights.first_keys;
        if (errors) seen &= (errors & -errors) - 1;
        for (; seen; seen &= seen - 1) {
            size_t place = at + (size_t)__builtin_ctzll(seen);
            if (seen & -seen & sights.first_keys) {
                if (may_be_field(fields, text + place, text + stop)) had = with_field(fields, had, text + place, text + stop);
                continue;
            }
            if (place - whole.end > max_line_bytes || had != fields->all) return whole;
            had = 0;
            whole.lines++;
            whole.end = place + 1;
        }
        if (errors) return whole;
    }
    return whole;
}

/* How many lines of text[start:stop] are whole and have all fields, from the first one on. */
TARGET static struct whole walk(const uint8_t *text, size_t start, size_t stop, size_t max_line_bytes,
                                const struct fields *fields)
{
    return fields->all ? walked(text, start, stop, max_line_bytes, fields, true)
                       : walked(text, start, stop, max_line_bytes, fields, false);
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
#undef scalar_errors
#undef block_errors
#undef walked
#undef walk
